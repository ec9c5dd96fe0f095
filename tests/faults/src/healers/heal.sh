#!/bin/bash
# Heals the unit that has just failed: restart it; if that does not help, end
# whoever holds its port, and try once more. /etc/heal/ports has the ports, and
# /etc/heal/respect-start-limit the units whose start limit is to hold.
unit=$1

# Maintenance: somebody is at work on it.
[ -e "/run/heal/off/$unit" ] && exit 0

port=$(awk -v unit="$unit" '$1 == unit { print $2 }' /etc/heal/ports)

restart() {
    grep -qx "$unit" /etc/heal/respect-start-limit || systemctl reset-failed "$unit"
    systemctl restart "$unit"
    sleep 5
    systemctl is-active --quiet "$unit"
}

tell() {
    { echo "$2"; journalctl --unit "$unit" --lines 20 --no-pager; } |
        mail -s "$(hostname): $unit $1" root@localhost
}

if restart; then
    tell "was restarted" "It had failed."
    exit 0
fi

if [ -n "$port" ]; then
    for pid in $(lsof -t -i "TCP:$port" -s TCP:LISTEN); do kill "$pid"; done
    sleep 1
    for pid in $(lsof -t -i "TCP:$port" -s TCP:LISTEN); do kill -9 "$pid"; done
fi

if restart; then
    tell "was restarted" "Its port $port had to be freed."
else
    tell "IS DOWN" "It could not be restarted. Please have a look."
fi
exit 0
