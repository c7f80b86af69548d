// libnbd. It is called under the link's mutex alone, and so are its callbacks, which only leave the
// answer where somebody waits for it:
//
//     sender: issue(command) ──▶ libnbd sends what the socket takes ──┐
//     mover:  poll ▶ libnbd sends the rest, receives ▶ callback ▶ NbdAnswers ▶ sender: wait()
#include "clone/nbd_connection.hpp"

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/handle.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <libnbd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>

namespace coldspare::clone {

NbdAnswers::NbdAnswers(unsigned slots) : slots_(slots) {
    for (Slot& slot : slots_) {
        slot.owner = this;
    }
}

void NbdAnswers::begin(unsigned slot) {
    const std::scoped_lock lock(mutex_);
    slots_.at(slot).awaited = 1;
    slots_[slot].error = 0;
}

void NbdAnswers::end(unsigned slot) {
    answer(slots_.at(slot), 0);
}

NbdAnswers::Slot& NbdAnswers::expect(unsigned slot) {
    const std::scoped_lock lock(mutex_);
    ++slots_.at(slot).awaited;
    return slots_[slot];
}

void NbdAnswers::answer(Slot& slot, int error) {
    NbdAnswers& all = *slot.owner;
    const std::scoped_lock lock(all.mutex_);
    slot.error = slot.error != 0 ? slot.error : error;
    if (--slot.awaited == 0) {
        all.over_.push_back(static_cast<unsigned>(&slot - all.slots_.data()));
        all.came_.notify_one(); // Under the lock: whoever waits may destroy this afterwards.
    }
}

NbdAnswers::Over NbdAnswers::wait() {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [this] { return !over_.empty(); });
    const unsigned slot = over_.front();
    over_.pop_front();
    return {slot, slots_[slot].error};
}

// --- one connection ----------------------------------------------------------------------------

namespace {

using namespace std::chrono_literals;

// What a server takes that tells no limits of its own (the protocol, "Block size constraints").
constexpr std::uint64_t usual_largest = 32 << 20;
// Commands without a payload: 32 bits, and a piece that is answered within a moment.
constexpr std::uint64_t longest_range = 1 << 30;
constexpr const char* allocation = "base:allocation";

/// What libnbd said last, without the name of its function.
std::string said_by_libnbd() {
    const char* text = nbd_get_error();
    std::string_view said = text != nullptr ? text : "the server ended the connection";
    if (said.starts_with("nbd_") && said.find(": ") != std::string_view::npos) {
        said.remove_prefix(said.find(": ") + 2);
    }
    return printable(said);
}

/// TCP asks whether the other machine is still there, lest a command wait for it without end.
void notice_a_lost_peer(int fd) {
    const auto set = [fd](int level, int option, int value) {
        ::setsockopt(fd, level, option, &value, sizeof value); // A Unix socket knows none of them.
    };
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 20);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set(IPPROTO_TCP, TCP_KEEPCNT, 4);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, 60'000);
}

} // namespace

struct NbdConnection::Link {
    Link(const std::string& uri, std::chrono::milliseconds patience);
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    [[nodiscard]] bool lost() const {
        return nbd_aio_is_dead(nbd.get()) != 0 || nbd_aio_is_closed(nbd.get()) != 0;
    }

    /// Sends a command, which is a function of handle and completion callback.
    template <typename Send>
    void issue(NbdAnswers& answers, unsigned number, Send send) {
        NbdAnswers::Slot& slot = answers.expect(number);
        const std::scoped_lock lock(mutex);
        if (send(nbd.get(), nbd_completion_callback{answered, &slot, nullptr}) < 0) {
            const int reason = nbd_get_errno(); // libnbd answers only what it took.
            NbdAnswers::answer(slot, lost() ? ENOTCONN : reason != 0 ? reason : EIO);
        } else if ((nbd_aio_get_direction(nbd.get()) & LIBNBD_AIO_DIRECTION_WRITE) != 0) {
            wake(); // The socket is full: the mover has to wait for that as well.
        }
    }

    static int answered(void* slot, int* error) {
        NbdAnswers::answer(*static_cast<NbdAnswers::Slot*>(slot), *error);
        return 1; // libnbd need not keep it.
    }

    void wake() const {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = ::write(waker.get(), &one, sizeof one);
    }

    void move_bytes(const std::stop_token& stop);
    void answer_poll(short happened);

    Handle<nbd_handle, nbd_close> nbd;
    std::mutex mutex;
    Fd waker;
    std::jthread mover;
};

NbdConnection::Link::Link(const std::string& uri, std::chrono::milliseconds patience)
    : nbd(nbd_create()) {
    const auto failed = [&uri](const std::string& reason) {
        return Error(fmt::format("cannot connect to '{}': {}", uri, reason),
                     "check that the server runs, serves this export, and takes one more client");
    };
    const TimePoint deadline = Clock::now() + patience;
    // The URI is the administrator's own: it may name a file with a key.
    if (!nbd || nbd_set_uri_allow_local_file(nbd.get(), true) != 0 ||
        nbd_add_meta_context(nbd.get(), allocation) != 0 ||
        nbd_aio_connect_uri(nbd.get(), uri.c_str()) != 0) {
        throw failed(said_by_libnbd());
    }
    while (nbd_aio_is_ready(nbd.get()) == 0) {
        if (Clock::now() >= deadline) {
            throw failed(fmt::format("no answer within {} s", patience / 1s));
        }
        if (nbd_poll(nbd.get(), 100) < 0 || lost()) {
            throw failed(said_by_libnbd());
        }
    }
    notice_a_lost_peer(nbd_aio_get_fd(nbd.get()));
    waker.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!waker) {
        throw system_error(fmt::format("cannot wait for '{}'", uri), errno);
    }
    mover = std::jthread([this](const std::stop_token& stop) { move_bytes(stop); });
}

NbdConnection::Link::~Link() {
    mover.request_stop();
    wake();
    mover.join();
    // Taking leave: the server is given a moment to see it, and need not answer.
    nbd_aio_disconnect(nbd.get(), 0);
    for (int i = 0; i < 10 && !lost() && nbd_poll(nbd.get(), 20) > 0; ++i) {
    }
}

void NbdConnection::Link::move_bytes(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        std::array<pollfd, 2> files{};
        files[1] = {.fd = waker.get(), .events = POLLIN, .revents = 0};
        {
            const std::scoped_lock lock(mutex);
            if (lost()) {
                return; // libnbd has answered all that was under way, and takes no more.
            }
            const unsigned wanted = nbd_aio_get_direction(nbd.get());
            const int in = (wanted & LIBNBD_AIO_DIRECTION_READ) != 0 ? POLLIN : 0;
            const int out = (wanted & LIBNBD_AIO_DIRECTION_WRITE) != 0 ? POLLOUT : 0;
            files[0] = {.fd = nbd_aio_get_fd(nbd.get()),
                        .events = static_cast<short>(in | out),
                        .revents = 0};
        }
        if (::poll(files.data(), files.size(), -1) < 0) {
            continue;
        }
        if (files[1].revents != 0) {
            std::uint64_t ignored = 0;
            [[maybe_unused]] const ssize_t got = ::read(waker.get(), &ignored, sizeof ignored);
        }
        if (files[0].revents != 0) {
            answer_poll(files[0].revents);
        }
    }
}

/// What a sender did meanwhile may have changed what libnbd waits for. A failure is seen in the
/// state of the connection and in the answers.
void NbdConnection::Link::answer_poll(short happened) {
    const std::scoped_lock lock(mutex);
    const unsigned wanted = nbd_aio_get_direction(nbd.get());
    const bool ended = (happened & (POLLHUP | POLLERR)) != 0;
    if (((happened & POLLIN) != 0 || ended) && (wanted & LIBNBD_AIO_DIRECTION_READ) != 0) {
        nbd_aio_notify_read(nbd.get());
    } else if (((happened & POLLOUT) != 0 || ended) && (wanted & LIBNBD_AIO_DIRECTION_WRITE) != 0) {
        nbd_aio_notify_write(nbd.get());
    }
}

NbdConnection::NbdConnection(const std::string& uri, std::chrono::milliseconds patience)
    : link_(std::make_unique<Link>(uri, patience)) {
    nbd_handle* nbd = link_->nbd.get();
    const std::int64_t size = nbd_get_size(nbd);
    if (size < 0) {
        throw Error(fmt::format("cannot ask '{}' for its size: {}", uri, said_by_libnbd()));
    }
    const auto told = [nbd](int kind) {
        return static_cast<std::uint64_t>(std::max<std::int64_t>(nbd_get_block_size(nbd, kind), 0));
    };
    const std::uint64_t smallest = std::max<std::uint64_t>(told(LIBNBD_SIZE_MINIMUM), 1);
    const std::uint64_t largest = told(LIBNBD_SIZE_MAXIMUM);
    export_ = {.size = static_cast<std::uint64_t>(size),
               .smallest = smallest,
               .largest = std::max(std::min(largest != 0 ? largest : usual_largest, usual_largest) /
                                       smallest * smallest,
                                   smallest),
               .read_only = nbd_is_read_only(nbd) != 0,
               .can_flush = nbd_can_flush(nbd) == 1,
               .can_zero = nbd_can_zero(nbd) == 1,
               .has_extents = nbd_can_meta_context(nbd, allocation) == 1,
               .takes_more = nbd_can_multi_conn(nbd) == 1};
}

NbdConnection::~NbdConnection() = default;

namespace {

/// `send(offset, length)` for each part of at most `longest` bytes.
template <typename Send>
void in_parts(std::uint64_t length, std::uint64_t longest, Send send) {
    for (std::uint64_t done = 0; done < length;) {
        const std::uint64_t part = std::min(length - done, longest);
        send(static_cast<std::size_t>(done), static_cast<std::size_t>(part));
        done += part;
    }
}

} // namespace

void NbdConnection::read(NbdAnswers& answers, unsigned slot, std::uint64_t offset,
                         std::span<std::byte> into) {
    answers.begin(slot);
    in_parts(into.size(), export_.largest, [&](std::size_t at, std::size_t length) {
        link_->issue(answers, slot, [&](nbd_handle* nbd, nbd_completion_callback done) {
            return nbd_aio_pread(nbd, &into[at], length, offset + at, done, 0);
        });
    });
    answers.end(slot);
}

void NbdConnection::write(NbdAnswers& answers, unsigned slot, std::uint64_t offset,
                          std::span<const std::byte> bytes) {
    answers.begin(slot);
    in_parts(bytes.size(), export_.largest, [&](std::size_t at, std::size_t length) {
        link_->issue(answers, slot, [&](nbd_handle* nbd, nbd_completion_callback done) {
            return nbd_aio_pwrite(nbd, &bytes[at], length, offset + at, done, 0);
        });
    });
    answers.end(slot);
}

void NbdConnection::zero(NbdAnswers& answers, unsigned slot, std::uint64_t offset,
                         std::uint64_t length) {
    answers.begin(slot);
    in_parts(length, longest_range, [&](std::size_t at, std::size_t part) {
        link_->issue(answers, slot, [&](nbd_handle* nbd, nbd_completion_callback done) {
            return nbd_aio_zero(nbd, part, offset + at, done, 0);
        });
    });
    answers.end(slot);
}

void NbdConnection::flush(NbdAnswers& answers, unsigned slot) {
    answers.begin(slot);
    link_->issue(answers, slot, [](nbd_handle* nbd, nbd_completion_callback done) {
        return nbd_aio_flush(nbd, done, 0);
    });
    answers.end(slot);
}

void NbdConnection::extents(NbdAnswers& answers, unsigned slot, std::uint64_t offset,
                            std::uint64_t length, std::vector<NbdExtent>& into) {
    // Pairs of a length and flags (the protocol, "base:allocation"). A hole need not be zeros.
    const auto take = [](void* list, const char* context, std::uint64_t from,
                         std::uint32_t* entries, std::size_t count, int*) {
        auto& extents = *static_cast<std::vector<NbdExtent>*>(list);
        if (std::string_view(context) != allocation) {
            return 0;
        }
        for (std::size_t i = 0; i + 1 < count; i += 2) {
            from += entries[i];
            extents.push_back({from, (entries[i + 1] & LIBNBD_STATE_ZERO) != 0});
        }
        return 0;
    };
    answers.begin(slot);
    link_->issue(answers, slot, [&](nbd_handle* nbd, nbd_completion_callback done) {
        return nbd_aio_block_status(nbd, std::min(length, longest_range), offset,
                                    nbd_extent_callback{take, &into, nullptr}, done, 0);
    });
    answers.end(slot);
}

} // namespace coldspare::clone
