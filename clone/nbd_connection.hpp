#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace coldspare::clone {

/// Where one thread waits for the answers of a server. A transfer has a slot, and may take several
/// commands: it is over when all are answered.
class NbdAnswers {
public:
    explicit NbdAnswers(unsigned slots);
    NbdAnswers(const NbdAnswers&) = delete;
    NbdAnswers& operator=(const NbdAnswers&) = delete;

    struct Slot {
        NbdAnswers* owner = nullptr;
        unsigned awaited = 0;
        int error = 0; ///< an errno: of the first command that failed
    };

    /// From begin() to end() commands are sent; it is not over before, whatever has been answered.
    void begin(unsigned slot);
    void end(unsigned slot);
    /// One more command, and its answer: an errno, or 0. From any thread.
    Slot& expect(unsigned slot);
    static void answer(Slot& slot, int error);

    struct Over {
        unsigned slot = 0;
        int error = 0;
    };
    /// Blocks until a transfer is over. One must be under way.
    [[nodiscard]] Over wait();

private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::vector<Slot> slots_;
    std::deque<unsigned> over_;
};

/// A stretch of an export, from the end of the one before.
struct NbdExtent {
    std::uint64_t end = 0;
    bool zero = false; ///< reads as zeros
};

/// One connection to one export of an NBD server, with a thread that moves its bytes: commands that
/// were sent go on while their sender does something else. Commands may be sent from several
/// threads, and are answered through NbdAnswers: with ENOTCONN when the connection is lost.
/// Offsets and lengths are multiples of `smallest`, and lie inside the export.
class NbdConnection {
public:
    /// Blocks until connected. Throws Error, also after `patience`.
    NbdConnection(const std::string& uri, std::chrono::milliseconds patience);
    /// Nothing may be under way. Takes leave of the server.
    ~NbdConnection();
    NbdConnection(const NbdConnection&) = delete;
    NbdConnection& operator=(const NbdConnection&) = delete;

    /// What the server said of the export.
    struct Export {
        std::uint64_t size = 0;
        std::uint64_t smallest = 1; ///< what offsets and lengths are multiples of
        std::uint64_t largest = 0;  ///< of one read or write; longer ones are cut by us
        bool read_only = false;
        bool can_flush = false;
        bool can_zero = false;
        bool has_extents = false;
        bool takes_more = false; ///< connections, of which a flush of one is a flush of all
        bool operator==(const Export&) const = default;
    };
    [[nodiscard]] const Export& exported() const { return export_; }

    void read(NbdAnswers& answers, unsigned slot, std::uint64_t offset, std::span<std::byte> into);
    void write(NbdAnswers& answers, unsigned slot, std::uint64_t offset,
               std::span<const std::byte> bytes);
    /// NBD_CMD_WRITE_ZEROES: reads back as zeros; the server may make a hole of it.
    void zero(NbdAnswers& answers, unsigned slot, std::uint64_t offset, std::uint64_t length);
    /// What was answered before is on the medium, if the server is honest.
    void flush(NbdAnswers& answers, unsigned slot);
    /// What is known from `offset` on: appended to `into`, which must stay until it is answered. At
    /// least one stretch, unless there is an error.
    void extents(NbdAnswers& answers, unsigned slot, std::uint64_t offset, std::uint64_t length,
                 std::vector<NbdExtent>& into);

private:
    struct Link; // of libnbd
    std::unique_ptr<Link> link_;
    Export export_;
};

} // namespace coldspare::clone
