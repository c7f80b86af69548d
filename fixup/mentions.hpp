#pragma once

#include "fixup/guest.hpp"
#include "fixup/plan.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::fixup {

/// The numbers of the lines of `text` that mention one of these addresses (lower case, colons) with
/// colons, with hyphens or bare, in any case, and not as a part of something longer. Comments ('#',
/// ';' or '!' first) do not count.
[[nodiscard]] std::vector<std::size_t> lines_with_macs(std::string_view text,
                                                       const std::set<std::string>& macs);

/// What still mentions an old address of the VM's cards below /etc and /var/lib/iscsi when `plan`
/// is carried out, as warnings that name file and line: licences, ACLs, cluster configurations,
/// addresses that a card is told to take. Nobody but a person knows what is right there. One grep
/// of the copy finds the files, of which 100 are read; without grep there are no warnings. An
/// address that another card of the VM has now is no old one.
[[nodiscard]] std::vector<std::string> mention_warnings(Guest& guest, const Facts& facts,
                                                        const Wishes& wishes, const Plan& plan);

} // namespace coldspare::fixup
