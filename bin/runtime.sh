# Sourced by the executables beside it: `built PROGRAM PACKAGE` sets `entry`; and sets `node` (the one the bootstrap chose: version 22.15 or newer), `heap`
# (75 % of memory in MiB) and `thrift`, what a server adds to it. Needs nothing but PATH, and starts no other program.
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
# With so much heap allowed V8 would take 134 MB for what is young, and let what is old grow fourfold before it
# looks for garbage. Measured with a million keys: docs/performance.md.
thrift='--max-semi-space-size=16 --heap-growing-percent=160'
# glibc would give each of a dozen threads an arena of its own.
MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-2}
export MALLOC_ARENA_MAX

# The program's file: its bundle (scripts/bundle.mjs), which starts in half the time and keeps less, where one was made
# after every build; else what the compiler left, which is always right. KEELSON_UNBUNDLED=1 asks for that, so that profiles
# and stacks name the modules.
built() {
  entry=$root/packages/$2/dist/main.js
  [ -z "$KEELSON_UNBUNDLED" ] || return 0
  [ -f "$root/dist/$1/main.js" ] || return 0
  for info in "$root"/packages/*/dist/.tsbuildinfo "$root"/proto/dist/.tsbuildinfo; do
    [ "$root/dist/$1/main.js" -nt "$info" ] || return 0
  done
  entry=$root/dist/$1/main.js
}
