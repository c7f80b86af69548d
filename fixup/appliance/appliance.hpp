#pragma once

#include "base/handle.hpp"
#include "fixup/protocol.hpp"

#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

struct guestfs_h;

namespace coldspare::fixup {

/// The last lines that the appliance and the library said: what an error message alone leaves open.
class LogTail {
public:
    void add(std::string_view text);
    [[nodiscard]] const std::deque<std::string>& lines() const { return lines_; }

private:
    std::deque<std::string> lines_;
    std::string partial_;
};

/// A running libguestfs appliance with the disks of a request, each under a label of its own. Every
/// failure is an Error with the last words of the appliance as its hint.
class Appliance {
public:
    /// Starts it. Blocks for seconds. Throws Error.
    explicit Appliance(const ApplianceRequest& request);
    ~Appliance();
    Appliance(const Appliance&) = delete;
    Appliance& operator=(const Appliance&) = delete;

    [[nodiscard]] guestfs_h* handle() const { return guestfs_; }
    [[nodiscard]] unsigned disk_count() const { return disks_; }
    /// "/dev/disk/guestfs/fixdiska" for disk 0.
    [[nodiscard]] static std::string disk_name(unsigned disk);

    [[noreturn]] void fail(const std::string& what) const;
    /// Throws if a call of the library returned -1.
    void check(int result, const std::string& what) const {
        if (result == -1) {
            fail(what);
        }
    }
    /// Takes a NULL-terminated list that the library gives away.
    [[nodiscard]] std::vector<std::string> strings(char** list, const std::string& what) const;
    /// Takes a string, printable; throws if there is none.
    [[nodiscard]] std::string text(char* string, const std::string& what) const;
    /// Takes the answer to a question that many volumes have none for.
    [[nodiscard]] static std::string optional_text(char* string);

private:
    void configure(const ApplianceRequest& request);
    void add_disks(const ApplianceRequest& request);

    LogTail log_; // outlives the handle, which writes to it
    guestfs_h* guestfs_ = nullptr;
    unsigned disks_ = 0;
};

using CString = Handle<char, std::free>;

} // namespace coldspare::fixup
