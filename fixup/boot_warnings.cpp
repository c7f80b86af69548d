#include "fixup/boot_warnings.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace coldspare::fixup {

namespace {

/// Where kernel arguments and the settings of a menu stand. One of several entries is enough.
std::vector<std::string> argument_files(const FileTree& files) {
    std::vector<std::string> paths{"/etc/default/grub", "/boot/grub/grub.cfg",
                                   "/boot/grub2/grub.cfg", "/boot/grub/menu.lst",
                                   "/boot/grub/grub.conf"};
    const std::vector<std::string> entries = files.in("/boot/loader/entries", ".conf");
    paths.insert(paths.end(), entries.begin(), entries.end());
    return paths;
}

/// The first line of `text` with `word` that is no comment: its number and what `word` stands in.
std::optional<std::pair<std::size_t, std::string>> find_word(std::string_view text,
                                                             std::string_view word) {
    std::size_t number = 0;
    for (const std::string_view line : split_lines(text)) {
        ++number;
        const std::size_t at = line.find(word);
        if (at == std::string_view::npos || trim(line).starts_with('#')) {
            continue;
        }
        const std::size_t end = std::min(line.find_first_of(" \t\"'", at), line.size());
        return std::pair(number, printable(line.substr(at, end - at)));
    }
    return std::nullopt;
}

/// "console=ttyS1,115200": the management processor's serial port. The VM's first one is ttyS0.
void warn_of_console(const PlanInput& input, std::vector<std::string>& warnings) {
    for (const std::string& path : argument_files(input.files)) {
        const std::string* text = input.files.text(path);
        if (text == nullptr) {
            continue;
        }
        for (const std::string_view word : {"console=ttyS1", "console=ttyS2", "console=ttyS3"}) {
            if (const auto found = find_word(*text, word)) {
                warnings.push_back(fmt::format("{}:{}: {} is a serial port that the VM does not "
                                               "have; its first one is ttyS0",
                                               path, found->first, found->second));
            }
        }
        for (const std::string_view word : {"--unit=1", "--unit=2", "--unit=3"}) {
            if (const auto found = find_word(*text, word)) {
                warnings.push_back(fmt::format("{}:{}: the boot menu uses the serial port {}, "
                                               "which the VM does not have",
                                               path, found->first, found->second.substr(2)));
            }
        }
    }
}

/// A menu without a countdown stands there until somebody comes.
void warn_of_waiting(const PlanInput& input, std::vector<std::string>& warnings) {
    const std::string defaults = "/etc/default/grub";
    if (const std::string* text = input.files.text(defaults)) {
        for (const std::string_view word : {"GRUB_TIMEOUT=-1", "GRUB_TIMEOUT=\"-1\""}) {
            if (const auto found = find_word(*text, word)) {
                warnings.push_back(fmt::format("{}:{}: the boot menu waits for a person; set "
                                               "another GRUB_TIMEOUT on the server and run "
                                               "update-grub there",
                                               defaults, found->first));
            }
        }
    }
    for (const std::string path : {"/boot/grub/menu.lst", "/boot/grub/grub.conf"}) {
        const std::string* text = input.files.text(path);
        if (text == nullptr) {
            continue;
        }
        const std::vector<std::string_view> lines = split_lines(*text);
        if (std::ranges::none_of(lines, [](std::string_view line) {
                return trim(line).starts_with("timeout") && trim(line).find('-') == line.npos;
            })) {
            warnings.push_back(fmt::format(
                "{}: no 'timeout': the boot menu waits for a person; set one on the server", path));
        }
    }
}

/// The block of "name=value" lines that GRUB 2 keeps between two starts.
void warn_of_environment(const LoaderFile& environment, std::vector<std::string>& warnings) {
    constexpr std::size_t most_lines = 200;
    std::size_t number = 0;
    for (const std::string_view line : split_lines(environment.content)) {
        if (++number > most_lines) {
            break;
        }
        if (line == "recordfail=1") {
            warnings.push_back(fmt::format("{}:{}: recordfail is set: the server's last start was "
                                           "not finished, and the boot menu waits longer",
                                           environment.path, number));
        } else if (line.starts_with("next_entry=") && line != "next_entry=") {
            warnings.push_back(fmt::format("{}:{}: the next start is to be of '{}', once; clear it "
                                           "on the server with grub-editenv",
                                           environment.path, number, printable(line.substr(11))));
        }
    }
}

/// Entries of the Boot Loader Specification carry the machine-id in their names. One that was
/// changed after they were made finds none of them when a kernel is updated.
void warn_of_entries(const PlanInput& input, std::vector<std::string>& warnings) {
    const std::string directory = "/boot/loader/entries";
    const std::vector<std::string> entries = input.files.in(directory, ".conf");
    const std::string* text = input.files.text("/etc/machine-id");
    const std::string_view id = text == nullptr ? "" : trim(*text);
    if (entries.empty() || id.empty()) {
        return;
    }
    if (std::ranges::none_of(entries, [&](const std::string& path) {
            return path.starts_with(fmt::format("{}/{}", directory, id));
        })) {
        warnings.push_back(
            fmt::format("{}: no entry begins with the machine-id {} of /etc/machine-id: updates of "
                        "the kernel will not replace them",
                        directory, printable(id.substr(0, 64))));
    }
}

} // namespace

std::vector<std::string> boot_warnings(const PlanInput& input) {
    std::vector<std::string> warnings;
    warn_of_console(input, warnings);
    warn_of_waiting(input, warnings);
    warn_of_environment(input.facts.boot.environment, warnings);
    warn_of_entries(input, warnings);
    return warnings;
}

} // namespace coldspare::fixup
