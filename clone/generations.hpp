#pragma once

#include "base/handle.hpp"
#include "clone/manifest.hpp"
#include "clone/target.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>
#include <vector>

namespace coldspare::clone {

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

    /// The generation to receive into, so that afterwards `keep` (at least 1) earlier ones are
    /// there. An image that has no generations yet becomes the first; one that is no finished clone
    /// is refused. Else nothing is changed.
    [[nodiscard]] std::filesystem::path choose(unsigned keep, std::stop_token stop);

    /// The source is there: makes the chosen one an earlier clone to be renewed, by the cheapest
    /// way that there is: what an earlier run has begun; blocks shared with the current one; the
    /// oldest that need not be kept; a copy of the current one. Refuses another disk's source
    /// unless what exists may be erased, and then begins anew. May take as long as a copy on this
    /// machine.
    void make_ready(const DiskFacts& source, Existing existing, std::stop_token stop);

    /// Makes the chosen one current, durably.
    void publish();

    /// Removes what need not be kept: not what is open in a virtual machine or was written to by
    /// one, and not what IMAGE.fixup.qcow2 links to. What cannot be removed is told, and stays.
    void prune();

    struct Rollback {
        std::filesystem::path from;
        std::filesystem::path to;
        bool bootable = false; ///< IMAGE.fixup.qcow2 links to its overlay now
    };
    /// Makes an earlier generation current again: the newest whose fixup is done, because a
    /// rollback is there to start something; if none has one, the newest. Those between are given
    /// up with the current one. Refuses if there is no earlier one.
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
    /// Finished ones before the current one that no rollback has given up, oldest first.
    [[nodiscard]] std::vector<Generation> earlier() const;
    [[nodiscard]] bool is_pinned(const std::filesystem::path& generation) const;
    void adopt_plain_image(std::stop_token stop);
    void seed(const DiskFacts& source, Existing existing, std::stop_token stop);
    static void become(const std::filesystem::path& file, const std::filesystem::path& generation,
                       Manifest manifest, bool sealed);
    static void remove(const std::filesystem::path& generation);

    std::filesystem::path image_;
    std::function<void(std::string_view)> notice_;
    Fd lock_;
    unsigned keep_ = 1;
    unsigned next_ = 0; ///< chosen
};

/// What a link to a generation stands for; any other path is returned as it is.
[[nodiscard]] std::filesystem::path resolve_generation(const std::filesystem::path& image);

/// Whether `image` is a link to one of its generations.
[[nodiscard]] bool has_generations(const std::filesystem::path& image);

/// IMAGE.fixup.qcow2 links to the overlay of this generation from now on. Durable. Refuses if
/// another one is current by now.
void publish_overlay(const std::filesystem::path& image, const std::filesystem::path& generation);

} // namespace coldspare::clone
