# Sourced by the shims in this directory, with $self (the shim's real path) and $program (its name in dist/cli) set.
# The everyday path is four tests and an exec, so that signals go straight to node; everything rare is bootstrap.mjs.
case $self in */*) ;; *) self=./$self ;; esac
home=${self%/*}/..
node=$(command -v node) || {
  echo "$program: Node.js is not installed, or not on the PATH. Version 20 or newer is needed: https://nodejs.org" >&2
  exit 69
}
stamp=$home/dist/.built
if [ -d "$home/src" ]; then
  built=
  if [ -f "$stamp" ]; then read -r built <"$stamp"; fi
  # Stale: built by another node, or a source (or the folder of a removed one) or the list of packages is newer.
  if [ "$built" != "$node" ] || [ ! -d "$home/node_modules" ] ||
    [ -n "$(find "$home/src" "$home/package.json" "$home/package-lock.json" "$home/tsconfig.json" "$home/tsconfig.build.json" -newer "$stamp" 2>&1)" ]; then
    prepare=yes
  fi
fi
if [ -n "${prepare-}" ] || [ ! -d "$home/src" ]; then
  version=$("$node" --version)
  major=${version#v}
  major=${major%%.*}
  if [ "$major" -lt 20 ]; then
    echo "$program: Node.js 20 or newer is needed, but $node is $version." >&2
    exit 69
  fi
fi
if [ -n "${prepare-}" ]; then
  "$node" "$home/bin/bootstrap.mjs" "$program" || exit $?
fi
exec "$node" "$home/dist/cli/$program.js" "$@"
