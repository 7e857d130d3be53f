# Sourced by the executables beside it: sets `node` (the one the bootstrap chose: version 22 or newer) and
# `heap` (75 % of memory in MiB). Needs nothing but PATH, and starts no other program.
node=
if [ -r "$root/node_modules/.keelson-node" ]; then
  read -r node <"$root/node_modules/.keelson-node"
fi
if [ ! -x "$node" ]; then
  echo "$(basename "$0"): no usable Node: run 'node scripts/bootstrap.mjs ensure' in $root" >&2
  exit 1
fi
heap=2048
while read -r key value _; do
  if [ "$key" = MemTotal: ]; then
    heap=$((value / 1024 * 3 / 4))
    break
  fi
done </proc/meminfo
