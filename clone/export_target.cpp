#include "clone/export_target.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "clone/buffer.hpp"
#include "clone/mapped_disk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t most_samples = 256;

class View : public Disk {
public:
    explicit View(Disk& disk) : disk_(disk) {}
    [[nodiscard]] const DiskFacts& facts() const override { return disk_.facts(); }
    void read(std::uint64_t offset, std::span<std::byte> into) override {
        disk_.read(offset, into);
    }
    void write(std::uint64_t offset, std::span<const std::byte> bytes) override {
        disk_.write(offset, bytes);
    }
    void zero(std::uint64_t offset, std::uint64_t length) override { disk_.zero(offset, length); }
    void flush() override { disk_.flush(); }
    [[nodiscard]] Extent extent_at(std::uint64_t offset) override {
        return disk_.extent_at(offset);
    }
    [[nodiscard]] std::unique_ptr<DiskQueue> open_queue(unsigned depth) override {
        return disk_.open_queue(depth);
    }

private:
    Disk& disk_;
};

Fd lock(const fs::path& uri, const fs::path& state_dir) {
    fs::path path = journal_path(uri, state_dir);
    path.replace_extension(".lock");
    make_parent_directories(path, "choose another with --state-dir");
    Fd fd = open_file(path, O_RDWR | O_CREAT, 0600);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            throw system_error(fmt::format("cannot lock '{}'", path.string()), errno);
        }
        throw Error(fmt::format("'{}' is locked by another run", uri.string()),
                    "wait until it has ended", ExitStatus::locked);
    }
    return fd;
}

} // namespace

ExportTarget::ExportTarget(const fs::path& uri, DirectIo direct, const fs::path& state_dir)
    : lock_(lock(uri, state_dir)), disk_(open_target(uri, direct, TargetContent::unknown)) {}

std::unique_ptr<Disk> ExportTarget::view() {
    return std::make_unique<View>(*disk_);
}

bool ExportTarget::holds_clone_of(const fs::path& manifest) {
    try {
        const std::optional<Manifest> clone = read_manifest(manifest);
        return clone && holds(*clone);
    } catch (const Error&) {
        return false; // Damaged, or unreadable: it vouches for nothing.
    }
}

bool ExportTarget::holds(const Manifest& manifest) {
    const Geometry& geometry = manifest.geometry;
    if ((manifest.view ? manifest.view->needs() : geometry.size) > facts().size) {
        return false;
    }
    const std::unique_ptr<Disk> disk =
        manifest.view ? std::make_unique<MappedDisk>(view(), *manifest.view) : view();
    // Any disk may have zeros in a place.
    const Leaf zeros = zero_leaf(geometry.block_size);
    std::vector<std::uint64_t> telling;
    for (std::uint64_t block = 0; block < manifest.leaves.size(); ++block) {
        if (manifest.leaves[block] != zeros) {
            telling.push_back(block);
        }
    }
    AlignedBuffer buffer(geometry.block_size);
    const std::size_t samples = std::min(telling.size(), most_samples);
    for (std::size_t i = 0; i < samples; ++i) {
        const std::uint64_t block = telling[i * telling.size() / samples];
        const std::uint64_t offset = block * geometry.block_size;
        const std::span<std::byte> bytes = buffer.first(geometry.length_at(offset));
        disk->read(offset, bytes);
        if (hash_block(bytes) != manifest.leaves[block]) {
            return false;
        }
    }
    return samples > 0;
}

} // namespace coldspare::clone
