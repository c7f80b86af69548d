#include "clone/identity.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <vector>

namespace coldspare::clone {

namespace {

/// openssl req -x509 -newkey ed25519 -nodes -days 1 -subj /CN=x -outform DER, in hexadecimal. Long
/// out of date, which means nothing.
constexpr std::string_view known_certificate =
    "3082012c3081dfa003020102021462f2e8a44370f56259e5ad602d3dfcdaa44fb0a1300506032b65"
    "70300c310a300806035504030c0178301e170d3236313132323037303231325a170d323631313233"
    "3037303231325a300c310a300806035504030c0178302a300506032b65700321003bf55b091b89bf"
    "71341e5204179f52bfc1f19dcb1000bc4681d74def4aff7752a3533051301d0603551d0e04160414"
    "1569b9f461535deecf0381980612c894d6e6f64f301f0603551d230418301680141569b9f461535d"
    "eecf0381980612c894d6e6f64f300f0603551d130101ff040530030101ff300506032b6570034100"
    "4b89e3c73b7a33121fab9ac32ce60613c585fdafd2364250dd3985499cba6cb2b901f345936184cf"
    "c243fa955d38ae26f52f6d38657f2c9af4148011662ce909";
/// ... | openssl pkey -pubin -outform DER | sha256sum
constexpr std::string_view known_fingerprint =
    "776a686bfd120580cd3874f3f6eec266e58ee7c3238b3680bb42c6fb94fe4f17";
/// The parts of an identity in PEM.
struct Parts {
    std::string key;
    std::string certificate;
};

Parts parts_of(const Identity& identity) {
    const std::string pem = encode(identity);
    const std::size_t end = pem.find("-----BEGIN CERTIFICATE");
    REQUIRE(end != std::string::npos);
    return {pem.substr(0, end), pem.substr(end)};
}

} // namespace

TEST_CASE("a fingerprint is the SHA-256 of the public key, as openssl prints it") {
    const std::string certificate = from_hex(known_certificate).value();
    const Fingerprint fingerprint = fingerprint_of(as_byte_span(certificate));
    CHECK(hex(fingerprint) == known_fingerprint);
    CHECK(parse_fingerprint(known_fingerprint) == fingerprint);
    CHECK(shortened(fingerprint) == std::string(known_fingerprint.substr(0, 16)) + "...");
}

TEST_CASE("a new identity is another each time, and is read back as it was written") {
    const Identity identity = make_identity();
    CHECK(make_identity().fingerprint != identity.fingerprint);
    const Identity back = parse_identity(encode(identity));
    CHECK(back.key == identity.key);
    CHECK(back.certificate == identity.certificate);
    CHECK(back.fingerprint == identity.fingerprint);
}

TEST_CASE("what is not a key with its certificate is told") {
    const auto [key, certificate] = parts_of(make_identity());
    const Parts other = parts_of(make_identity());
    CHECK_NOTHROW(static_cast<void>(parse_identity(certificate + key)));
    for (const std::string& pem :
         {std::string(), std::string("x"), key, certificate, other.key + certificate,
          key.substr(0, key.size() / 2) + certificate,
          certificate.substr(0, certificate.size() / 2) + key}) {
        CAPTURE(pem);
        const Error error = thrown_by([&] { static_cast<void>(parse_identity(pem)); });
        CHECK(error.message() == "it is not an Ed25519 private key with its certificate");
    }
}

TEST_CASE("what is not a fingerprint is told") {
    for (const std::string_view text : {"", "00", "zz"}) {
        CHECK_THROWS_AS(static_cast<void>(parse_fingerprint(text)), Error);
    }
    CHECK_THROWS_AS(static_cast<void>(parse_fingerprint(std::string(62, '0'))), Error);
    CHECK_THROWS_AS(static_cast<void>(fingerprint_of(as_byte_span("no certificate"))), Error);
}

TEST_CASE("a state directory has one identity, whoever comes first") {
    const TemporaryDirectory directory;
    const std::filesystem::path state = directory / "not/there/yet";
    std::array<Identity, 4> found;
    {
        std::vector<std::jthread> threads;
        for (Identity& identity : found) {
            threads.emplace_back([&] { identity = load_identity(state); });
        }
    }
    for (const Identity& identity : found) {
        CHECK(identity.fingerprint == found.front().fingerprint);
    }
    struct stat status {};
    REQUIRE(::stat((state / "identity.pem").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == 0600);
}

TEST_CASE("a private key that others can read is refused") {
    const TemporaryDirectory directory;
    static_cast<void>(load_identity(directory.path()));
    const std::string path = (directory / "identity.pem").string();
    REQUIRE(::chmod(path.c_str(), 0640) == 0);
    const Error error = thrown_by([&] { static_cast<void>(load_identity(directory.path())); });
    CHECK(error.message() == fmt::format("others can read the private key in '{}'", path));
    CHECK(error.status() == ExitStatus::usage);
    CHECK(contains(error.hint(), fmt::format("chmod 600 '{}'", path)));
}

TEST_CASE("an identity that is damaged is named and not replaced") {
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "identity.pem";
    write_file_atomically(path, "damaged", 0600);
    const Error error = thrown_by([&] { static_cast<void>(load_identity(directory.path())); });
    CHECK(error.message() ==
          fmt::format("reading '{}': it is not an Ed25519 private key with its certificate",
                      path.string()));
    CHECK(read_file(path, 100) == "damaged");
}

} // namespace coldspare::clone
