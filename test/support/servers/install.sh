#!/bin/sh
# Installs Debian packages, as root: starts none of the services that they bring, and leaves nothing else behind.
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C
policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/cofferdam-tests.conf
mark='# For the tests of cofferdam, while they install.'

# Of several runs at once the second finds everything installed; a directory can be locked without leaving a file.
exec 9</var/lib/dpkg
flock -w 300 9 || { echo 'E: another run is still installing' >&2; exit 1; }

clear() {
  if grep -qxF "$mark" "$policy"; then rm -f "$policy"; fi
  rm -f "$cluster"
  rmdir -p --ignore-fail-on-non-empty "${cluster%/*}"
} 2>/dev/null
trap clear EXIT
trap 'exit 1' HUP INT TERM

if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
  chmod 755 "$policy"
fi
mkdir -p "${cluster%/*}"
printf '%s\ncreate_main_cluster = false\n' "$mark" >"$cluster"

install() {
  timeout 400 apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=240 -o Acquire::Retries=1 \
    -o Acquire::http::Timeout=30 install "$@" 9<&-
}

# Waits for the lists of packages while another reads them: that lock has no waiting of its own.
update() {
  tries=0
  while tries=$((tries + 1)); do
    said=$(timeout 200 apt-get -q -o Acquire::Retries=1 -o Acquire::http::Timeout=30 update 2>&1 9<&-)
    result=$?
    case $said in
      *'Could not get lock'* | *'Unable to lock'*) [ "$tries" -lt 60 ] && sleep 2 && continue ;;
    esac
    return "$result"
  done
}

install "$@" </dev/null || { update && install "$@" </dev/null; }
