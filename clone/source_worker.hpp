#pragma once

#include "base/clock.hpp"
#include "clone/batch.hpp"
#include "clone/buffer.hpp"
#include "clone/channel.hpp"
#include "clone/codec.hpp"
#include "clone/digest.hpp"
#include "clone/level.hpp"
#include "clone/slots.hpp"
#include "clone/source_session.hpp"

#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

namespace coldspare::clone {

/// One worker of the source: its own connection, disk queue, buffers and compression context. While
/// one piece is hashed, packed and sent, the next ones are read.
class SourceWorker {
public:
    SourceWorker(SourceSession& session, Channel& channel);

    /// Carries pieces until there are none, then says STREAM_END.
    void run(std::stop_token stop);

    /// Sends these blocks, which were sent before, once more. Throws Error if they have changed.
    void send_again(Range range, std::stop_token stop);

private:
    void fill(std::stop_token stop);
    void finish(unsigned slot, const std::optional<Error>& error, std::stop_token stop);
    void salvage_put_off(std::stop_token stop);
    /// Makes `block` what was sent with the leaf `sent`, if the disk still has that.
    void read_again(std::uint64_t offset, std::span<std::byte> block, const Leaf& sent,
                    std::stop_token stop);
    void frame_zeros(const Piece& piece, std::stop_token stop);
    void frame_piece(std::uint64_t offset, std::span<const std::byte> bytes, std::stop_token stop);
    void frame_data(std::uint64_t offset, std::span<const std::byte> block, const Leaf& leaf);
    /// What differs from the target's block. False, and nothing done, if that is not known, or is
    /// most of it.
    [[nodiscard]] bool frame_parts(std::uint64_t offset, std::span<const std::byte> block,
                                   const Leaf& leaf);
    /// Notes the block's leaf; whether the target has the block already.
    bool settle(std::uint64_t offset, const Leaf& leaf);
    void extend_run(FrameType type, Range range);
    void end_run();
    void add(const FrameHeader& header, std::span<const std::byte> payload = {});
    void send(std::stop_token stop);

    SourceSession& session_;
    Channel& channel_;
    Packer packer_;
    LevelChooser level_;
    Slots slots_;
    AlignedBuffer packed_;
    std::size_t packed_used_ = 0;
    std::vector<Leaf> part_hashes_;   ///< of one block
    std::vector<std::byte> gathered_; ///< its parts that travel
    Batch batch_;
    TimePoint sent_ = Clock::now();        ///< when the last batch had gone
    FrameType run_type_ = FrameType::zero; ///< of run_
    Range run_;                            ///< whole blocks that wait to become one frame
    Leaf zero_leaf_;                       ///< of a whole block
    std::unique_ptr<DiskQueue> queue_;     ///< ends before the buffers
};

} // namespace coldspare::clone
