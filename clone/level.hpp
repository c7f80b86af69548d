#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace coldspare::clone {

/// How blocks are packed.
struct Compression {
    enum class Mode {
        none,      ///< all blocks are stored
        fixed,     ///< at `level`
        automatic, ///< each worker finds what is fastest
    };
    Mode mode = Mode::automatic;
    int level = 1; ///< fixed: as zstd(1), 1 to 19
};

/// Finds the compression level at which one worker gets most of the disk through its connection.
///
/// A worker packs a block and gives it to TCP, which carries it while the next one is packed. So a
/// byte of disk costs max(packing, ratio / rate of the connection): both are measured all the time,
/// for the level in use, and what other levels would cost follows from their usual distance to it.
/// Storing costs nothing to pack and has the ratio 1: it wins where the network outruns a core.
class LevelChooser {
public:
    explicit LevelChooser(Compression compression);

    /// What to pack with now; nothing: store.
    [[nodiscard]] std::optional<int> level() const { return level_; }

    /// A block was packed at level(), and it was worth it.
    /// `spent`: time of a core.
    void packed(std::size_t raw, std::size_t packed, std::chrono::nanoseconds spent);

    /// What the connection carries, in bytes a second.
    void carried(double rate);

    /// Decides anew; to be called after every piece.
    void choose();

private:
    Compression::Mode mode_;
    std::optional<int> level_;
    // Of level 1: the other levels are told by their usual distance. Typical figures until
    // measured.
    double cost_ = 3e-9; ///< seconds a byte
    double ratio_ = 0.4; ///< packed size / raw size
    std::optional<double> rate_;
};

} // namespace coldspare::clone
