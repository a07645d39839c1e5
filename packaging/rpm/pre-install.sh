# Before the files, since one of them belongs to the group.
getent passwd exception-log-collector >/dev/null || \
    useradd --system --user-group --no-create-home --home-dir /var/lib/exception-log-collector \
        --shell /sbin/nologin exception-log-collector
exit 0
