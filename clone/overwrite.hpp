#pragma once

#include "clone/disk_list.hpp"

#include <string>
#include <string_view>
#include <vector>

/// What is on a target that nobody uses: for the person who decides whether it may be overwritten.
/// Pure functions.
namespace coldspare::clone {

/// What a signature makes its bytes part of, where they are no whole of their own: "physical volume
/// of LVM", "member of an md array"; else empty. Nothing needs to be running.
[[nodiscard]] std::string_view member_of(const Content& content);

/// "ext4 'root'", "LVM2_member (physical volume of LVM)"; empty for nothing.
[[nodiscard]] std::string text_of(const Content& content);

/// In one line: "465.8 GiB, MODEL, serial S5Y1; gpt table: vfat 'EFI', ext4 'root'".
[[nodiscard]] std::string summary_of(const DiskEntry& disk);

/// What a person has to type before a disk or an image is overwritten, as proof that it is the one
/// that was meant: names such as /dev/sdb change from boot to boot.
struct OverwriteQuestion {
    std::vector<std::string> lines; ///< what is there, for 80 columns
    std::string noun;               ///< "serial number"
    std::string answer;
};

/// The serial number of a device; without one its WWN, or failing both its path. Of a partition
/// the same with "-partN" behind it. Of an image its file name.
[[nodiscard]] OverwriteQuestion question_about(const DiskEntry& disk);

/// Whether it was typed, blanks around it aside.
[[nodiscard]] bool is_answer(const OverwriteQuestion& question, std::string_view typed);

} // namespace coldspare::clone
