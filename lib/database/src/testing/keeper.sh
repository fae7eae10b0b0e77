# Runs a PostgreSQL server in folder $2 with the programs in $1 until standard input closes.
set -eu
as=
if [ "$(id -u)" = 0 ]; then
    # The server refuses to run as root.
    chown postgres "$2"
    as='setpriv --reuid=postgres --regid=postgres --clear-groups'
fi
# Ctrl-C reaches the whole group; the end of the test process is what counts.
trap '' INT TERM HUP
cd "$2"
$as "$1/initdb" --pgdata="$2/data" --no-sync --auth=trust --username=cocuyo --encoding=UTF8 --locale=C \
    >"$2/log" 2>&1
# Nothing here has to survive a power cut, only a crash of the server.
$as "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=200 \
    -c fsync=off -c full_page_writes=off >>"$2/log" 2>&1 &
read -r _ || true
kill -QUIT $!
wait $! || true
cd /
rm -rf "$2"
