#include "fixup/blkid_output.hpp"

#include "base/text.hpp"

#include <charconv>

namespace coldspare::fixup {

namespace {

constexpr std::size_t most_devices = 4096;
constexpr std::size_t most_properties = 64;

std::string without_backslashes(std::string_view value) {
    std::string plain;
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '\\' && i + 1 < value.size()) {
            ++i;
        }
        plain += value[i];
    }
    return printable(plain);
}

} // namespace

std::map<std::string, BlkidProperties> parse_blkid(std::string_view text) {
    std::map<std::string, BlkidProperties> devices;
    BlkidProperties* device = nullptr;
    for (const std::string_view line : split_lines(text)) {
        const std::size_t equals = line.find('=');
        const std::string_view key = line.substr(0, equals);
        if (line.empty()) {
            device = nullptr;
        } else if (equals == std::string_view::npos) {
            continue;
        } else if (key == "DEVNAME") {
            device = devices.size() == most_devices
                         ? nullptr
                         : &devices[std::string(line.substr(equals + 1))];
        } else if (device != nullptr && device->size() < most_properties) {
            device->emplace(key, without_backslashes(line.substr(equals + 1)));
        }
    }
    return devices;
}

std::string blkid_value(const BlkidProperties& properties, std::string_view key) {
    const auto found = properties.find(key);
    return found == properties.end() ? std::string() : found->second;
}

std::uint64_t blkid_number(const BlkidProperties& properties, std::string_view key) {
    const std::string value = blkid_value(properties, key);
    const bool is_hex = value.starts_with("0x");
    const char* const begin = value.data() + (is_hex ? 2 : 0);
    const char* const end = value.data() + value.size();
    std::uint64_t number = 0;
    const std::from_chars_result read = std::from_chars(begin, end, number, is_hex ? 16 : 10);
    return read.ec == std::errc() && read.ptr == end ? number : 0;
}

} // namespace coldspare::fixup
