#pragma once

#include "fixup/nic.hpp"

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// A rules file after the rewrite, and what a person should know about it.
struct RulesRewrite {
    std::string content;
    std::set<std::string> pinned;   ///< names that a live rule gives to the right address, now
    std::vector<std::string> notes; ///< "line 7: ..."
};

/// The names of `nics` that some live rule of `content` already gives to the right address.
[[nodiscard]] std::set<std::string> pinned_names(std::string_view content,
                                                 std::span<const NicBinding> nics);

/// Makes the rules of one file fit the NICs of the virtual machine, as the how-to of 2009 did by
/// hand:
///
///     #SUBSYSTEM=="net", DRIVERS=="?*", ATTRS{address}=="00:0c:29:8d:71:3f", NAME="eth0"
///
///     # network card of the virtual machine (coldspare fixup)
///     SUBSYSTEM=="net", DRIVERS=="?*", ATTRS{address}=="00:0c:29:59:d3:36", NAME="eth0"
///
/// - A live rule that gives one of our names to anything else is commented out ('#' in column 0:
/// the
///   generators of the time look for nothing else), and a copy of it for the new address follows,
///   unless a rule for that already stands somewhere (`pinned_elsewhere`, or earlier in the file).
/// - The name may also stand in IMPORT="/lib/udev/rename_netiface %k NAME" (SLES 9 and 10).
/// - So is one that has the right address and asks for more than any card has (KERNELS==, a
/// driver),
///   or whose address stands in parentheses, which udev does not read; the copy has braces.
/// - A rule that gives a new address another name (the copy was once booted, and called its card
///   eth1) is commented out.
/// - All names are looked up at once, so two cards can swap their names.
/// - Every other byte stays: comments, other rules, line ends, a missing last newline.
///
/// The copy loses the matches that tie a rule to one piece of hardware, and KERNEL==: an initramfs
/// that knows the new card's driver has already named the card otherwise, and KERNEL=="eth*" would
/// never match (facts measured with Debian 12). Rewriting twice gives the same as once.
[[nodiscard]] RulesRewrite rewrite_rules(std::string_view content, std::span<const NicBinding> nics,
                                         const std::set<std::string>& pinned_elsewhere);

/// A live rule that gives a name to an address.
struct RuleBinding {
    std::string name;
    std::string mac;      ///< in lower case with colons, however it is written
    std::size_t line = 0; ///< from 1
};

[[nodiscard]] std::vector<RuleBinding> bindings_in_rules(std::string_view content);

/// How a generated rule asks for the address and gives the name.
enum class RuleDialect {
    attr,   ///< ATTR{address}, since udev 098
    attrs,  ///< ATTRS{address}, as Debian etch has it
    sysfs,  ///< SYSFS{address}, before udev 098
    import, ///< SYSFS{address} and IMPORT="/lib/udev/rename_netiface %k NAME", as SLES 9 and 10
};

/// The dialect that the rules of `content` use for addresses.
[[nodiscard]] RuleDialect dialect_of(std::string_view content);

/// `content` with a generated rule for `nic` at the end.
[[nodiscard]] std::string append_rule(std::string_view content, const NicBinding& nic,
                                      RuleDialect dialect);

} // namespace coldspare::fixup
