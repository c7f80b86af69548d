#include "clone/manifest.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <functional>
#include <string>

namespace coldspare::clone {

namespace fs = std::filesystem;

namespace {

Manifest small_manifest() {
    Manifest manifest;
    manifest.geometry = {3 * 4096 + 5, 4096};
    manifest.created = "2026-11-22T03:05:14Z";
    manifest.program = "coldspare 9.9.9";
    manifest.source_name = "/dev/sda";
    manifest.source_model = "ST500";
    manifest.source_serial = "Z4Y";
    manifest.source_wwn = "naa.5000";
    manifest.logical_sector = 512;
    for (const std::string_view text : {"a", "b", "c", "d"}) {
        manifest.leaves.push_back(hash_block(as_byte_span(text)));
    }
    manifest.root = root_of(manifest.geometry, manifest.leaves);
    return manifest;
}

/// A manifest of our own making: `change` is made before the checksum.
std::string forged(const std::function<void(std::string&)>& change) {
    std::string content = encode_manifest(small_manifest());
    content.resize(content.size() - 32);
    change(content);
    const Sha256 digest = sha256(as_byte_span(content));
    content.append(reinterpret_cast<const char*>(digest.data()), digest.size());
    return content;
}

void replace(std::string& text, std::string_view from, std::string_view to) {
    REQUIRE(from.size() == to.size());
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("a manifest comes back as it was written") {
    const Manifest back = parse_manifest(encode_manifest(small_manifest()));
    const Manifest expected = small_manifest();
    CHECK(back.geometry == expected.geometry);
    CHECK(back.root == expected.root);
    CHECK(back.created == expected.created);
    CHECK(back.program == expected.program);
    CHECK(back.source_name == expected.source_name);
    CHECK(back.source_model == expected.source_model);
    CHECK(back.source_serial == expected.source_serial);
    CHECK(back.source_wwn == expected.source_wwn);
    CHECK(back.logical_sector == 512);
    CHECK(back.leaves == expected.leaves);
}

TEST_CASE("a manifest has the layout that the formats page tells") {
    const std::string content = encode_manifest(small_manifest());
    CHECK(content.starts_with("COLDSPARE MANIFEST 1\n"));
    const auto length = static_cast<std::size_t>(static_cast<unsigned char>(content[21])) |
                        static_cast<std::size_t>(static_cast<unsigned char>(content[22])) << 8U;
    CHECK(content[25] == '{');
    CHECK(content[25 + length - 1] == '}');
    CHECK(content.size() == 25 + length + 4 * 16 + 32);
}

TEST_CASE("each truncation of a manifest is refused") {
    const std::string content = encode_manifest(small_manifest());
    for (std::size_t length = 0; length < content.size(); ++length) {
        CAPTURE(length);
        CHECK_THROWS_AS(static_cast<void>(parse_manifest(content.substr(0, length))), Error);
    }
}

TEST_CASE("each changed byte of a manifest is refused") {
    const std::string content = encode_manifest(small_manifest());
    for (std::size_t i = 0; i < content.size(); ++i) {
        for (const int flip : {0x01, 0x80}) {
            CAPTURE(i);
            std::string bad = content;
            bad[i] = static_cast<char>(bad[i] ^ flip);
            CHECK_THROWS_AS(static_cast<void>(parse_manifest(bad)), Error);
        }
    }
}

TEST_CASE("bytes after the end of a manifest are refused") {
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_manifest(encode_manifest(small_manifest()) + "x")),
                         "the manifest is damaged: its checksum does not match", Error);
}

TEST_CASE("a manifest with a good checksum is still looked at") {
    struct Row {
        std::string_view reason;
        std::function<void(std::string&)> change;
    };
    const std::vector<Row> table{
        {"it does not begin like one", [](std::string& text) { replace(text, "COLD", "WARM"); }},
        {"it is too short", [](std::string& text) { text[23] = '\x7f'; }},
        {"it is too short", [](std::string& text) { text[24] = '\xff'; }},
        {"its description is not readable", [](std::string& text) { text[25] = '['; }},
        {"its geometry is impossible",
         [](std::string& text) { replace(text, "\"block_size\":4096", "\"block_size\":4095"); }},
        {"its geometry is impossible",
         [](std::string& text) { replace(text, "\"size\":12293", "\"size\":0    "); }},
        {"'size' is missing or out of range",
         [](std::string& text) { replace(text, "\"size\":12293", "\"size\":-2293"); }},
        {"'created' is missing",
         [](std::string& text) { replace(text, "\"created\"", "\"cxeated\""); }},
        {"'root' is not a digest",
         [](std::string& text) { text[text.find("\"root\":\"") + 8] = 'g'; }},
        {"the number of its hashes does not fit its size",
         [](std::string& text) { text += std::string(16, 'x'); }},
        {"the number of its hashes does not fit its size", [](std::string& text) { text += "x"; }},
        {"the number of its hashes does not fit its size",
         [](std::string& text) { replace(text, "\"size\":12293", "\"size\":92293"); }},
        {"its root does not match its hashes",
         [](std::string& text) { text.back() = static_cast<char>(text.back() ^ 1); }},
        {"its root does not match its hashes",
         [](std::string& text) { replace(text, "\"size\":12293", "\"size\":12294"); }},
    };
    for (const Row& row : table) {
        CAPTURE(row.reason);
        CHECK_THROWS_WITH_AS(static_cast<void>(parse_manifest(forged(row.change))),
                             fmt::format("the manifest is damaged: {}", row.reason).c_str(), Error);
    }
}

TEST_CASE("what the source could not read comes back with the manifest") {
    Manifest manifest = small_manifest();
    for (const std::vector<Range>& ranges :
         {std::vector<Range>{}, std::vector<Range>{{0, 512}, {4096, 8197}}}) {
        manifest.unreadable = ranges;
        CHECK(parse_manifest(encode_manifest(manifest)).unreadable == ranges);
    }
    manifest.unreadable.clear();
    for (std::uint64_t i = 0; i < 1001; ++i) {
        manifest.unreadable.push_back({2 * i, 1});
    }
    const std::vector<Range> back = parse_manifest(encode_manifest(manifest)).unreadable;
    CHECK(back ==
          std::vector<Range>(manifest.unreadable.begin(), manifest.unreadable.begin() + 1000));
}

TEST_CASE("a manifest from before unreadable sectors were remembered is understood") {
    const std::string content =
        forged([](std::string& text) { replace(text, "\"unreadable\"", "\"unreadabl_\""); });
    CHECK(parse_manifest(content).unreadable.empty());
}

TEST_CASE("a list of unreadable ranges that cannot be is refused") {
    struct Row {
        std::string_view reason;
        std::string_view list;
    };
    for (const Row& row : {Row{"'unreadable' is not a list of up to 1000", "{}"},
                           Row{"'unreadable' is not a list of up to 1000", "1 "},
                           Row{"'unreadable' has an impossible range", "[1]"},
                           Row{"'unreadable' has an impossible range", "[[1]]"},
                           Row{"'unreadable' has an impossible range", "[[1,2,3]]"},
                           Row{"'unreadable' has an impossible range", "[[1,-2]]"},
                           Row{"'unreadable' has an impossible range", "[[\"1\",2]]"},
                           Row{"'unreadable' has an impossible range", "[[0,12294]]"},
                           Row{"'unreadable' has an impossible range",
                               "[[18446744073709551615,18446744073709551615]]"}}) {
        CAPTURE(row.list);
        const std::string content = forged([&](std::string& text) {
            const std::string_view from = "\"unreadable\":[]";
            const std::size_t at = text.find(from);
            REQUIRE(at != std::string::npos);
            text.replace(at, from.size(), fmt::format("\"unreadable\":{}", row.list));
            const std::size_t length = text.rfind('}', at + from.size() + row.list.size()) + 1 - 25;
            text[21] = static_cast<char>(length);
            text[22] = static_cast<char>(length >> 8);
        });
        CHECK_THROWS_WITH_AS(static_cast<void>(parse_manifest(content)),
                             fmt::format("the manifest is damaged: {}", row.reason).c_str(), Error);
    }
    std::string many = "[[0,1]";
    for (int i = 1; i < 1001; ++i) {
        many += ",[0,1]";
    }
    const std::string content = forged([&](std::string& text) {
        const std::string_view from = "\"unreadable\":[]";
        const std::size_t at = text.find(from);
        text.replace(at + from.size() - 2, 2, many + "]");
        const std::size_t length = text.find("]]", at) + 3 - 25;
        text[21] = static_cast<char>(length);
        text[22] = static_cast<char>(length >> 8);
    });
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_manifest(content)),
                         "the manifest is damaged: 'unreadable' is not a list of up to 1000",
                         Error);
}

TEST_CASE("a manifest that claims the largest disk allocates nothing for it") {
    const std::string content = forged([](std::string& text) {
        const std::string_view from = "\"size\":12293";
        text.replace(text.find(from), from.size(), "\"size\":4398046511104");
        text[21] = static_cast<char>(text[21] + 8);
    });
    CHECK_THROWS_WITH_AS(static_cast<void>(parse_manifest(content)),
                         "the manifest is damaged: the number of its hashes does not fit its size",
                         Error);
}

TEST_CASE("the manifest of an image stands beside it") {
    CHECK(manifest_path("/srv/mail.img", "/var/lib/coldspare") == "/srv/mail.img.manifest");
}

TEST_CASE("a manifest is written into a directory that is made for it") {
    const TemporaryDirectory directory;
    const fs::path path = directory.path() / "state" / "manifests" / "disk.manifest";
    write_manifest(path, small_manifest());
    const std::optional<Manifest> back = read_manifest(path);
    REQUIRE(back.has_value());
    CHECK(back->root == small_manifest().root);
}

TEST_CASE("no manifest is an answer") {
    const TemporaryDirectory directory;
    CHECK_FALSE(read_manifest(directory / "missing").has_value());
}

TEST_CASE("a damaged manifest is told with its path") {
    const TemporaryDirectory directory;
    const fs::path path = directory / "image.manifest";
    write_file_atomically(path, "not one");
    const Error error = thrown_by([&] { static_cast<void>(read_manifest(path)); });
    CHECK(error.message() ==
          fmt::format("reading '{}': the manifest is damaged: it does not begin like one",
                      path.string()));
    CHECK(error.hint() == "it cannot vouch for the copy: clone again");
}

TEST_CASE("a directory for manifests that cannot be made is told") {
    const TemporaryDirectory directory;
    write_file_atomically(directory / "file", "");
    const Error error = thrown_by(
        [&] { write_manifest(directory.path() / "file" / "x.manifest", small_manifest()); });
    CHECK(contains(error.message(), "cannot make the directory '"));
    CHECK(error.hint() == "choose another with --state-dir");
}

} // namespace coldspare::clone
