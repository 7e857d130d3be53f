#!/bin/sh
# Three members with the flags they would have on three machines, and an API server on them; until Ctrl-C.
# PORT is the first of 31 that it takes some of (2379 for clients of m0), DATA where it keeps everything.
#
#   PORT=2379 DATA=./three-members.etcd examples/three-members/start.sh
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
data=${DATA:-./three-members.etcd}
port=${PORT:-2379}
client() { echo "http://127.0.0.1:$((port + 10 * $1))"; }
peer() { echo "http://127.0.0.1:$((port + 10 * $1 + 1))"; }

"$root/bin/keelson" version > /dev/null # installs and builds on a fresh clone
mkdir -p "$data"
children=
trap 'trap "" EXIT; kill $children 2>/dev/null || true; wait' EXIT
trap 'exit 0' INT TERM

for n in 0 1 2; do
  "$root/bin/etcd" --name "m$n" --data-dir "$data/m$n" \
    --listen-client-urls "$(client $n)" --advertise-client-urls "$(client $n)" \
    --listen-peer-urls "$(peer $n)" --initial-advertise-peer-urls "$(peer $n)" \
    --initial-cluster "m0=$(peer 0),m1=$(peer 1),m2=$(peer 2)" --initial-cluster-state new \
    > "$data/m$n.log" 2>&1 &
  children="$children $!"
done
endpoints=$(client 0),$(client 1),$(client 2)
"$root/bin/keelson" apiserver --etcd-servers "$endpoints" --bind-address 127.0.0.1 --secure-port $((port + 30)) \
  --cert-dir "$data/pki" --authorization-mode Node,RBAC --controllers '*' > "$data/apiserver.log" 2>&1 &
children="$children $!"

until curl -fsk "https://127.0.0.1:$((port + 30))/readyz" > /dev/null 2>&1; do
  for child in $children; do
    kill -0 "$child" 2>/dev/null || { tail -n 2 "$data"/*.log >&2; exit 1; }
  done
  sleep 0.2
done
echo "ready; Ctrl-C ends it"
echo "export ETCDCTL_ENDPOINTS=$endpoints"
echo "export KUBECONFIG=$data/pki/admin.conf"
wait
