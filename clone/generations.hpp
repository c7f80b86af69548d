#pragma once

#include "base/handle.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>
#include <vector>

namespace coldspare::clone {

/// How the file of a new generation came to be what the copy starts from.
enum class Seed {
    none,     ///< there is nothing yet: the copy is a full one
    reflink,  ///< the current generation, in blocks that both share until one is written
    recycled, ///< the oldest generation, which need not be kept any more
    copied,   ///< the current generation, copied on this machine
    resumed,  ///< what an earlier run has begun
};

/// The generations of an image (docs/FORMATS.md 7). IMAGE is a symbolic link to the current one,
/// the file IMAGE.genN; its manifest, map and overlay stand beside it under its name. A generation
/// with a number above the current one's is under construction, or was given up by a rollback.
///
/// The current generation and the overlay that IMAGE.fixup.qcow2 links to are never written here.
/// Calls block. Throw Error.
class Generations {
public:
    /// `notice` is told what takes time. Refuses (status 4) what is no image file, and a link to
    /// elsewhere; `locked` if another run is at work on them.
    Generations(std::filesystem::path image, std::function<void(std::string_view)> notice);

    struct Next {
        std::filesystem::path path;
        Seed seed = Seed::none;
    };
    /// The generation to receive into, so that afterwards `keep` (at least 1) earlier ones are
    /// there. An image that has no generations yet becomes the first; one that is no finished clone
    /// is refused.
    [[nodiscard]] Next prepare(unsigned keep, std::stop_token stop);

    /// Makes the prepared one current, durably, and removes what need not be kept: not what is open
    /// in a virtual machine, and not what IMAGE.fixup.qcow2 links to.
    void publish();

    struct Rollback {
        std::filesystem::path from;
        std::filesystem::path to;
        bool bootable = false; ///< IMAGE.fixup.qcow2 links to its overlay now
    };
    /// Makes the one before the current one current again. Refuses if there is none.
    Rollback roll_back();

private:
    struct Generation {
        unsigned number = 0;
        std::filesystem::path path;
        bool complete = false; ///< it has a manifest
    };
    [[nodiscard]] std::vector<Generation> list() const; ///< in the order of their numbers
    [[nodiscard]] std::filesystem::path path_of(unsigned number) const;
    [[nodiscard]] unsigned current() const; ///< 0: none yet
    /// Finished ones before the current one, oldest first.
    [[nodiscard]] std::vector<Generation> earlier() const;
    [[nodiscard]] bool is_pinned(const std::filesystem::path& generation) const;
    void adopt_plain_image(std::stop_token stop);
    [[nodiscard]] Next seed(unsigned keep, std::stop_token stop);
    void recycle(const std::filesystem::path& from, const std::filesystem::path& to) const;
    void remove(const std::filesystem::path& generation) const;

    std::filesystem::path image_;
    std::function<void(std::string_view)> notice_;
    Fd lock_;
    unsigned keep_ = 1;
    unsigned next_ = 0; ///< prepared
};

/// What a link to a generation stands for; any other path is returned as it is.
[[nodiscard]] std::filesystem::path resolve_generation(const std::filesystem::path& image);

/// Whether `image` is a link to one of its generations.
[[nodiscard]] bool has_generations(const std::filesystem::path& image);

/// IMAGE.fixup.qcow2 links to `overlay`, that of one of its generations, from now on. Durable.
void publish_overlay(const std::filesystem::path& image, const std::filesystem::path& overlay);

} // namespace coldspare::clone
