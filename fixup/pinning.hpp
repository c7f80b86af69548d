#pragma once

#include "fixup/plan.hpp"

#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace coldspare::fixup {

/// What gives a network card its name on a system.
enum class PinWay {
    none, ///< neither udev's rules nor systemd: nothing that we know
    rule, ///< a rule of udev: before systemd 197, and without systemd
    both, ///< systemd 197 to 239 reads .link files, but does not rename what the initramfs renamed
          ///< (systemd issues 9006 and 9807); a rule without KERNEL== does
    link, ///< since systemd 240
};

/// The version of systemd's udev by the names of its files (libsystemd-shared-252.so), else by the
/// inventory: 0 if there is none, nothing if there is one of a version that is not known.
[[nodiscard]] std::optional<unsigned> systemd_version(const Facts& facts);

[[nodiscard]] PinWay pin_way(const Facts& facts);

/// The names of the wished cards that something in `files` gives to the right address already: a
/// rule of udev, a .link file that asks for nothing but the address, netplan's set-name, iftab, a
/// rename of ifupdown, and ifcfg's HWADDR= where rename_device of Red Hat's initscripts is there.
[[nodiscard]] std::set<std::string> names_pinned_in(const FileTree& files,
                                                    std::span<const NicBinding> nics);

/// The text of the .link file for one card.
[[nodiscard]] std::string link_file(const NicBinding& nic, std::optional<unsigned> systemd_version);

} // namespace coldspare::fixup
