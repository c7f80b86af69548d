#include "fixup/initramfs_image.hpp"

#include <fmt/format.h>

namespace coldspare::fixup {

namespace {

constexpr std::uint64_t most_unpacked = std::uint64_t{2} << 30;

bool is_wanted(std::string_view name) {
    return name.ends_with("/dracut/modules.txt") ||
           (name.starts_with("etc/cmdline.d/") && name.ends_with(".conf"));
}

/// What a packed stream holds goes to the scanner; archives may follow each other in it.
std::string scan_packed(Packing packing, std::string_view bytes, CpioScanner& scanner,
                        std::uint64_t& unpacked, std::size_t& consumed) {
    std::string stopped;
    const Unpacked result = unpack(packing, bytes, [&](std::string_view part) {
        unpacked += part.size();
        if (unpacked > most_unpacked) {
            stopped = fmt::format("it unpacks to more than {} bytes", most_unpacked);
            return false;
        }
        while (!part.empty() && scanner.problem().empty()) {
            part.remove_prefix(scanner.feed(part));
        }
        return scanner.problem().empty();
    });
    consumed = result.consumed;
    if (!stopped.empty() || !scanner.problem().empty()) {
        return stopped.empty() ? scanner.problem() : stopped;
    }
    return result.problem;
}

} // namespace

InitramfsImage read_initramfs(std::string_view bytes) {
    InitramfsImage image;
    CpioScanner scanner(is_wanted);
    std::uint64_t unpacked = 0;
    for (std::size_t at = 0; at < bytes.size() && image.problem.empty();) {
        const std::string_view rest = bytes.substr(at);
        if (rest.front() == '\0') {
            ++at;
            continue;
        }
        const Packing packing = packing_of(rest);
        if (packing == Packing::none) {
            at += scanner.feed(rest);
            image.problem = scanner.problem();
        } else if (packing == Packing::unknown) {
            image.problem = fmt::format("no archive begins at byte {}", at);
        } else {
            std::size_t consumed = 0;
            image.problem = scan_packed(packing, rest, scanner, unpacked, consumed);
            at += consumed;
        }
        if (image.problem.empty() && !scanner.at_rest()) {
            image.problem = "it ends in the middle of an archive";
        }
        image.packing = packing;
    }
    if (image.problem.empty() && image.packing == Packing::unknown) {
        image.problem = "it is empty";
    }
    image.listing = std::move(scanner.listing());
    return image;
}

} // namespace coldspare::fixup
