#!/bin/sh
# A bot that rolls dice for who says !dice, and tells for how long this host has been up. Try it:
#   sh examples/dice.sh lobby
# shellcheck disable=SC2016 # it is the other sh that is to expand it
[ -n "$BCAST_TEXT" ] || BOT=$0 exec bcast join "${1:-lobby}" --exec 'sh "$BOT"'
case $BCAST_TEXT in
"!dice") echo "$BCAST_NICK rolls $(shuf -i 1-6 -n 1)" ;;
"!uptime") uptime ;;
esac
