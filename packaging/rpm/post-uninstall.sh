if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    # An upgrade, not a removal.
    if [ "$1" -ge 1 ]; then systemctl try-restart exception-log-collector.service || :; fi
fi
exit 0
