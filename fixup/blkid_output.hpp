#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

/// What `blkid -p -o export DEVICE...` prints (blkid(8)): KEY=VALUE lines, a block of them for each
/// device, blocks apart by an empty line, each begun by DEVNAME=.
namespace coldspare::fixup {

/// By key: "TYPE", "UUID", "PART_ENTRY_OFFSET".
using BlkidProperties = std::map<std::string, std::string, std::less<>>;

/// By device. Of a value the backslashes before blanks and quotes are taken away. What is no such
/// line is left out, as is everything beyond 4096 devices.
[[nodiscard]] std::map<std::string, BlkidProperties> parse_blkid(std::string_view text);

/// A value, or empty.
[[nodiscard]] std::string blkid_value(const BlkidProperties& properties, std::string_view key);
/// A value that is a number in decimal or, with "0x", in hexadecimal; 0 if it is none.
[[nodiscard]] std::uint64_t blkid_number(const BlkidProperties& properties, std::string_view key);

} // namespace coldspare::fixup
