#pragma once

#include "clone/control.hpp"
#include "clone/target_worker.hpp"

#include <stop_token>
#include <vector>

namespace coldspare::clone {

/// Tells the source what the target has: reads `worth_reading` (sorted, disjoint, whole blocks)
/// from `medium`, notes the leaves in the session and posts them as HASHES, in order and for the
/// whole disk. What is told is what was read just now, whatever a journal says of it. A part that
/// cannot be read is told as not there.
void tell_what_is_there(Disk& medium, const std::vector<Range>& worth_reading,
                        TargetSession& session, Control& control, std::stop_token stop);

/// Tells the leaves that are in the session already, one for each block, without reading anything.
void tell_what_is_proved(TargetSession& session, Control& control, std::stop_token stop);

} // namespace coldspare::clone
