#!/bin/bash
# Who may include whom, which C library lives in which file, and who may print (docs/ARCHITECTURE.md).
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# FOLDER: the folders whose headers it may include.
declare -A may_use=(
  [base]="base"
  [clone]="base clone"
  [fixup]="base fixup"
  [standby]="base clone fixup standby"
  [failover]="base standby failover"
  [cli]="base clone fixup standby failover cli"
)

# HEADER OF A LIBRARY: the files that may include it. A pattern of the shell.
home_of() {
  case $1 in
    zstd*.h) echo '@(clone/codec|fixup/unpack_zstd).cpp' ;;
    zlib.h) echo 'fixup/unpack_gzip.cpp' ;;
    lzma.h) echo 'fixup/unpack_xz.cpp' ;;
    lz4.h) echo 'fixup/unpack_lz4.cpp' ;;
    xxhash.h | openssl/evp.h | openssl/rand.h) echo 'clone/digest.cpp' ;;
    openssl/pem.h | openssl/x509.h) echo 'clone/identity.cpp' ;;
    openssl/err.h) echo 'clone/@(identity|tls).cpp' ;;
    openssl/*) echo 'clone/tls.cpp' ;;
    blkid/* | libudev.h) echo 'clone/disk_list.cpp' ;;
    ext2fs/* | et/*) echo 'clone/*_ext.cpp' ;;
    libnbd.h) echo 'clone/nbd_connection.cpp' ;;
    parted/*) echo 'clone/partition_table.cpp' ;;
    liburing.h) echo 'clone/disk_queue.cpp' ;;
    guestfs.h) echo 'fixup/appliance/*.cpp' ;;
    yaml.h) echo 'fixup/netplan_yaml.cpp' ;;
    CLI/*) echo 'cli/*' ;;
    nlohmann/json_fwd.hpp) echo '*' ;;
    nlohmann/*) echo '*.cpp' ;;
    iostream | ostream | cstdio | stdio.h | fmt/ostream.h | fmt/color.h) echo '@(cli/*|fixup/appliance/main.cpp)' ;;
    toml++/*) echo 'base/config.cpp' ;;
    pugixml.hpp) echo 'standby/xml.cpp' ;;
    libvirt/*) echo 'standby/libvirt/*.cpp' ;;
    ldap.h | curl/* | boost/*)
      echo 'nothing: give it its one file in tests/lint/layering.sh' ;;
    *) echo '*' ;;
  esac
}

check_include() {
  local where=$1 header=$2
  local file=${where%%:*}
  local folder=${file%%/*}
  case $header in
    '"'*)
      local path=${header//\"/}
      local used=${path%%/*}
      if [[ ! -f $path ]]; then
        complain "$where: $header is not written from the root"
      elif [[ " ${may_use[$folder]} " != *" $used "* ]]; then
        complain "$where: $folder/ may not include $used/ ($header)"
      elif [[ $path == fixup/appliance/* && $file != fixup/appliance/* ]]; then
        complain "$where: the helper's headers stay with the helper ($header)"
      fi
      ;;
    '<'*)
      local name=${header//[<>]/} home
      home=$(home_of "$name")
      # shellcheck disable=SC2053 # a pattern on purpose
      [[ $file == $home ]] || complain "$where: $header belongs to $home"
      ;;
  esac
}

shopt -s extglob
mapfile -t sources < <(files '^(base|clone|fixup|standby|failover|cli)/.*\.(cpp|hpp)$')
if ((${#sources[@]} == 0)); then
  complain "no sources found below '$root'"
  finish
fi

while read -r where header; do
  check_include "$where" "$header"
done < <(grep -HnE '^[[:space:]]*#[[:space:]]*include' "${sources[@]}" |
  sed -E 's/^([^:]+:[0-9]+):[[:space:]]*#[[:space:]]*include[[:space:]]*(["<][^">]*[">]).*/\1 \2/')

for file in "${sources[@]}"; do
  if [[ $file == *.hpp ]] && ! grep -q '^#pragma once$' "$file"; then
    complain "$file:1: no #pragma once"
  fi
done

# Only cli/ prints and reads the environment. The helper has no cli/: its main.cpp writes, and its appliance.cpp hands the
# variables that users know from libguestfs on to a handle that was made without them.
calls='(f|s|v|vf)?printf|f?puts|perror|fmt::print|(secure_)?getenv'
streams='std::(cout|cerr|clog)'
while read -r line; do
  complain "$line (only cli/ prints or reads the environment)"
done < <(grep -HnE "(^|[^A-Za-z0-9_])(($calls)\(|$streams\b)" "${sources[@]}" |
  grep -vE '^(cli/|fixup/appliance/main\.cpp:)|^fixup/appliance/appliance\.cpp:.*getenv' | grep -vE '^[^:]+:[0-9]+: *//' || true)

finish "The rules stand in docs/ARCHITECTURE.md."
