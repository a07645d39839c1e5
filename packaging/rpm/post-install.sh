for group in adm systemd-journal; do
    if getent group "$group" >/dev/null; then
        usermod --append --groups "$group" exception-log-collector
    fi
done
chgrp exception-log-collector /etc/exception-log-collector /etc/exception-log-collector/config.yaml
chmod 0750 /etc/exception-log-collector
install -d -m 0750 -o exception-log-collector -g exception-log-collector /var/lib/exception-log-collector
install -d -m 0750 -o exception-log-collector -g adm /var/log/exception-log-collector
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    # Enabled where the distribution's presets say so.
    if [ "$1" -eq 1 ]; then systemctl --no-reload preset exception-log-collector.service || :; fi
fi
exit 0
