#include "clone/receiver.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <filesystem>

namespace coldspare::clone {

namespace {

std::string describe(const DiskFacts& disk) {
    return disk.serial.empty() ? fmt::format("'{}'", disk.name)
                               : fmt::format("'{}' (serial {})", disk.name, disk.serial);
}

std::string describe(std::span<const DiskFacts> disks) {
    std::string text;
    for (const DiskFacts& disk : disks) {
        text += (text.empty() ? "" : ", ") + describe(disk);
    }
    return text;
}

bool is_meant(std::string_view wanted, const DiskFacts& disk) {
    return wanted == disk.name || wanted == std::filesystem::path(disk.name).filename() ||
           (!disk.serial.empty() && wanted == disk.serial) ||
           (!disk.wwn.empty() && wanted == disk.wwn);
}

} // namespace

std::size_t find_wanted(std::string_view wanted, std::span<const DiskFacts> offered) {
    if (wanted.empty() && offered.size() == 1) {
        return 0;
    }
    if (wanted.empty()) {
        throw usage_error(
            fmt::format("the source serves {} disks: {}", offered.size(), describe(offered)),
            "say which goes where: DISK=TARGET, by name or serial number");
    }
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < offered.size(); ++i) {
        if (!is_meant(wanted, offered[i])) {
            continue;
        }
        if (found) {
            throw usage_error(fmt::format("'{}' is {} as well as {}", wanted,
                                          describe(offered[*found]), describe(offered[i])),
                              "name it by its whole name, its serial number or its WWN");
        }
        found = i;
    }
    if (!found) {
        throw usage_error(
            fmt::format("the source serves no disk '{}', but {}", wanted, describe(offered)),
            "name it as the source does, or by its serial number");
    }
    return *found;
}

} // namespace coldspare::clone
