#!/bin/sh
# Installs what is in this archive on a system without a package for it: any Linux, BusyBox too. As root:
#
#   ./install.sh [--prefix /usr/local]      again after an upgrade; a configuration that is there is kept
#   ./install.sh --uninstall                configuration and state stay
#
# With systemd a unit, on OpenWrt an init script, else a file for cron; nothing is started.
set -eu
cd "$(dirname "$0")"

name=exception-log-collector
prefix=/usr/local
uninstall=false
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) prefix=${2:?--prefix needs a directory}; shift ;;
        --uninstall) uninstall=true ;;
        *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
    shift
done
# Packages of another root are made by it: DESTDIR=/some/root ./install.sh
root=${DESTDIR:-}

if [ -e "$root/etc/openwrt_release" ]; then
    kind=openwrt
    prefix=/usr
elif [ -d "$root/run/systemd/system" ] || [ -d "$root/etc/systemd/system" ]; then
    kind=systemd
else
    kind=cron
fi

put() { # MODE FROM TO: a program that runs is replaced, not written into
    mkdir -p "$(dirname "$root$3")"
    cp "$2" "$root$3.new"
    chmod "$1" "$root$3.new"
    mv "$root$3.new" "$root$3"
}

# Below the prefix: completions, where each shell looks for those of others.
bash=share/bash-completion/completions
zsh=share/zsh/site-functions
fish=share/fish/vendor_completions.d

if $uninstall; then
    case $kind in
        systemd) [ -n "$root" ] || systemctl disable --now $name 2>/dev/null || true ;;
        openwrt) [ -n "$root" ] || { /etc/init.d/$name stop; /etc/init.d/$name disable; } 2>/dev/null || true ;;
        cron) ;;
    esac
    rm -f "$root$prefix/bin/$name" "$root$prefix/share/man/man1/$name.1" "$root$prefix/$bash/$name" \
        "$root$prefix/$zsh/_$name" "$root$prefix/$fish/$name.fish" "$root/etc/systemd/system/$name.service" \
        "$root/etc/init.d/$name" "$root/etc/cron.d/$name" "$root$prefix/lib/$name/cron-supervise"
    echo "removed; /etc/$name and /var/lib/$name are still there"
    exit 0
fi

if [ -z "$root" ] && ! grep -q "^$name:" /etc/passwd; then
    if command -v useradd >/dev/null; then
        useradd --system --user-group --no-create-home --home-dir /var/lib/$name --shell /sbin/nologin $name
    elif command -v adduser >/dev/null; then
        adduser -S -D -H -h /var/lib/$name -s /bin/false $name
    else # OpenWrt
        echo "$name:x:765:765:$name:/var/lib/$name:/bin/false" >>/etc/passwd
        echo "$name:x:765:" >>/etc/group
    fi
    if grep -q '^adm:' /etc/group; then
        if command -v usermod >/dev/null; then
            usermod -a -G adm $name
        elif command -v addgroup >/dev/null; then
            addgroup $name adm
        else
            sed -i "/^adm:/{s/[^:]\$/&,/;s/\$/$name/}" /etc/group
        fi
    fi
fi

put 0755 bin/$name "$prefix/bin/$name"
if [ $kind != openwrt ]; then
    put 0644 man/$name.1 "$prefix/share/man/man1/$name.1"
    put 0644 completions/$name.bash "$prefix/$bash/$name"
    put 0644 completions/_$name "$prefix/$zsh/_$name"
    put 0644 completions/$name.fish "$prefix/$fish/$name.fish"
fi
if [ ! -e "$root/etc/$name/config.yaml" ]; then
    put 0640 config.yaml "/etc/$name/config.yaml"
    if [ $kind = openwrt ]; then
        echo "state_dir: /etc/$name/state   # /var is in memory here" >>"$root/etc/$name/config.yaml"
    fi
fi
mkdir -p "$root/var/lib/$name" "$root/var/log/$name"
chmod 0750 "$root/var/lib/$name" "$root/var/log/$name" "$root/etc/$name"
if [ -z "$root" ]; then
    owner=$name:$(id -gn $name)
    [ $kind = openwrt ] || chown "$owner" "/var/lib/$name" "/var/log/$name"
    chgrp "${owner#*:}" "/etc/$name" "/etc/$name/config.yaml"
fi

echo "installed $prefix/bin/$name"
echo "next: edit /etc/$name/config.yaml (\`$name init\` proposes one for this host), \`$name check\`, then"
case $kind in
    systemd)
        put 0644 systemd/$name.service "/etc/systemd/system/$name.service"
        echo "  systemctl daemon-reload; systemctl enable --now $name"
        ;;
    openwrt)
        put 0755 openwrt/$name.init "/etc/init.d/$name"
        echo "  /etc/init.d/$name enable; /etc/init.d/$name start"
        ;;
    cron)
        put 0755 scripts/cron-supervise "$prefix/lib/$name/cron-supervise"
        echo "  choose one of the two lines of cron/$name for cron"
        ;;
esac
