#pragma once

#include "base/clock.hpp"
#include "clone/control.hpp"
#include "clone/receiver.hpp"
#include "clone/target_worker.hpp"

#include <cstdint>
#include <stop_token>

namespace coldspare::clone {

/// Moves what was written to the medium and into the journal.
class Epochs {
public:
    Epochs(TargetSession& session, Destination& destination, Control& control, EpochLength length)
        : session_(session), destination_(destination), control_(control), length_(length) {}

    /// Until all workers have ended. Throws Error.
    void keep(std::stop_token stop);

    /// What was written before the call is durable when it returns. Throws Error.
    void end_one(std::stop_token stop);

private:
    TargetSession& session_;
    Destination& destination_;
    Control& control_;
    EpochLength length_;
    TimePoint last_ = Clock::now();
    std::uint64_t count_ = 0;
};

} // namespace coldspare::clone
