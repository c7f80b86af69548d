#pragma once

#include "clone/disk.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>

namespace coldspare::clone {

/// Where all of a range lies on the disk below a view, if it lies there in one part that the disk
/// takes as it is.
using FindPlace = std::function<std::optional<std::uint64_t>(Range)>;

/// The queue of a disk that shows another one: what lies there in one part goes to the other's
/// queue, the rest is done at once by the view.
class ViewQueue : public DiskQueue {
public:
    ViewQueue(Disk& view, std::unique_ptr<DiskQueue> below, FindPlace place)
        : at_once_(view), below_(std::move(below)), place_(std::move(place)) {}

    void read(unsigned slot, std::uint64_t offset, std::span<std::byte> into) override {
        if (const auto place = place_({offset, into.size()})) {
            below_->read(slot, *place, into);
        } else {
            at_once_.read(slot, offset, into);
        }
    }
    void write(unsigned slot, std::uint64_t offset, std::span<const std::byte> bytes) override {
        if (const auto place = place_({offset, bytes.size()})) {
            below_->write(slot, *place, bytes);
        } else {
            at_once_.write(slot, offset, bytes);
        }
    }
    [[nodiscard]] Done wait() override {
        return at_once_.under_way() > 0 ? at_once_.wait() : below_->wait();
    }
    [[nodiscard]] unsigned under_way() const override {
        return at_once_.under_way() + below_->under_way();
    }

private:
    SynchronousQueue at_once_;
    std::unique_ptr<DiskQueue> below_;
    FindPlace place_;
};

} // namespace coldspare::clone
