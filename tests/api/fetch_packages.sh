# To be sourced: fetch_packages REQUIREMENTS FOLDER : the pinned packages of a requirements file, fetched into FOLDER
# once for each state of that file; `packages` is where they are. The index out of reach counts as a skipped test: 77.
fetch_packages() {
  local part
  packages=$2/packages-$(sha256sum "$1" | cut -c 1-16)
  [ ! -d "$packages" ] || return 0
  "$here/../../tools/install" python3 python3-pip ca-certificates
  mkdir -p "$2"
  part=$(mktemp -d "$2/part.XXXXXX")
  if ! python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --only-binary :all: \
    --target "$part/packages" --requirement "$1" >&2; then
    rm -rf "$part"
    echo "SKIPPED: the Python package index (pip) cannot be reached, or has no longer what $(basename "$1") pins"
    exit 77
  fi
  mv -T "$part/packages" "$packages" 2>/dev/null || [ -d "$packages" ]  # another test may have been first
  rm -rf "$part"
}
