#include "tests/support/images.hpp"

#include "base/error.hpp"
#include "base/files.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <charconv>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <random>

namespace coldspare::images {

namespace fs = std::filesystem;

ProcessResult run(std::vector<std::string> argv, const std::string& input) {
    for (const std::string directory : {"/usr/sbin", "/sbin", "/usr/bin", "/bin"}) {
        if (fs::exists(fs::path(directory) / argv[0])) {
            argv[0] = (fs::path(directory) / argv[0]).string();
            break;
        }
    }
    return run_process({.argv = std::move(argv), .input = input});
}

std::string run_well(std::vector<std::string> argv, const std::string& input) {
    const std::string what = argv[0];
    ProcessResult result = run(std::move(argv), input);
    INFO(what << ": " << result.out << result.err);
    REQUIRE(result.exit_code == 0);
    return result.out;
}

void make(const fs::path& path, std::uint64_t size) {
    fs::remove(path);
    std::ofstream(path).close();
    fs::resize_file(path, size);
}

std::string content_of_file(int number) {
    std::mt19937 generator(static_cast<unsigned>(number));
    std::string content(1500 + static_cast<std::size_t>(number) * 137 % 30000, '\0');
    for (char& c : content) {
        c = static_cast<char>(generator());
    }
    return content;
}

void make_files(const fs::path& directory, int count) {
    fs::create_directories(directory);
    for (int i = 0; i < count; ++i) {
        std::ofstream(directory / fmt::format("f{}", i)) << content_of_file(i);
    }
}

void copy_image(const fs::path& from, const fs::path& to) {
    run_well({"cp", "--sparse=always", from.string(), to.string()});
}

void overwrite(const fs::path& path, std::uint64_t offset, std::string_view bytes) {
    write_at(open_file(path, O_WRONLY).get(), offset, as_byte_span(bytes));
}

std::string bytes_at(const fs::path& path, std::uint64_t offset, std::size_t length) {
    std::string bytes(length, '\0');
    REQUIRE(read_at(open_file(path, O_RDONLY).get(), offset,
                    std::as_writable_bytes(std::span(bytes))) == length);
    return bytes;
}

void spoil(const fs::path& path, std::span<const clone::Range> ranges) {
    const Fd fd = open_file(path, O_WRONLY);
    const std::string garbage(1 << 20, '\xff');
    for (const clone::Range range : ranges) {
        for (std::uint64_t at = range.offset; at < range.end(); at += garbage.size()) {
            write_at(fd.get(), at,
                     as_byte_span(std::string_view(garbage).substr(
                         0, std::min<std::uint64_t>(garbage.size(), range.end() - at))));
        }
    }
}

std::uint64_t total(std::span<const clone::Range> ranges) {
    std::uint64_t sum = 0;
    for (const clone::Range range : ranges) {
        sum += range.length;
    }
    return sum;
}

bool well_formed(std::span<const clone::Range> ranges, std::uint64_t size) {
    const clone::Range* last = nullptr;
    for (const clone::Range& range : ranges) {
        if (range.length == 0 || !inside(range, size) ||
            (last != nullptr && range.offset <= last->end())) {
            return false;
        }
        last = &range;
    }
    return true;
}

clone::ReadBytes reader_of(const fs::path& path) {
    auto fd = std::make_shared<Fd>(open_file(path, O_RDONLY));
    return [fd](std::uint64_t offset, std::span<std::byte> into) {
        if (read_at(fd->get(), offset, into) != into.size()) {
            throw Error("it ends early");
        }
    };
}

std::uint64_t number_after(std::string_view text, std::string_view label) {
    CAPTURE(text);
    CAPTURE(label);
    const std::size_t at = text.find(label);
    REQUIRE(at != std::string_view::npos);
    text.remove_prefix(at + label.size());
    text.remove_prefix(std::min(text.find_first_not_of(" =:\t"), text.size()));
    std::uint64_t number = 0;
    REQUIRE(std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc());
    return number;
}

} // namespace coldspare::images
