#include "clone/epochs.hpp"

#include "base/error.hpp"

#include <thread>

namespace coldspare::clone {

namespace {

constexpr std::chrono::milliseconds tick{20};

} // namespace

void Epochs::keep(std::stop_token stop) {
    while (session_.running > 0) {
        if (stop.stop_requested()) {
            throw interrupted();
        }
        std::this_thread::sleep_for(tick);
        if (Clock::now() - last_ >= length_.time ||
            session_.bytes_written() - session_.counters.bytes_done >= length_.bytes) {
            end_one(stop);
        }
    }
}

void Epochs::end_one(std::stop_token stop) {
    const TargetSession::Written written = session_.take_written();
    last_ = Clock::now();
    if (written.blocks.empty() && written.in_parts == 0) {
        return;
    }
    session_.disk.flush();
    if (!written.blocks.empty()) {
        destination_.record(written.blocks);
    }
    for (const Range& range : written.blocks) {
        session_.counters.bytes_done += range.length;
    }
    session_.counters.bytes_done += written.in_parts;
    control_.post(
        {FrameType::durable, encode(DurableMessage{++count_, session_.counters.bytes_done})}, stop);
}

} // namespace coldspare::clone
