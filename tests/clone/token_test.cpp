#include "clone/token.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

namespace coldspare::clone {

namespace {

/// 00 11 22 ... ff.
Token counting_token() {
    Token token{};
    for (std::size_t i = 0; i < token.size(); ++i) {
        token[i] = static_cast<std::byte>(i * 0x11);
    }
    return token;
}

constexpr const char* complaint =
    "the token is not 26 characters of A-Z 2-7, nor 32 hexadecimal digits";

} // namespace

TEST_CASE("a token is written as base32 in groups of five") {
    CHECK(format_token(counting_token()) == "AAISE-M2EKV-THPCE-ZVK54-ZXPO7-4");
    CHECK(format_token(Token{}) == "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA-A");
}

TEST_CASE("a token is read in each form that a person may give it") {
    for (const std::string_view text : {
             "AAISE-M2EKV-THPCE-ZVK54-ZXPO7-4",
             "AAISEM2EKVTHPCEZVK54ZXPO74",
             "aaisem2ekvthpcezvk54zxpo74",
             "  aaise m2ekv thpce zvk54 zxpo7 4\r\n",
             "AAISEM2EKVTHPCEZVK54ZXPO74======",
             "00112233445566778899aabbccddeeff",
             "00112233445566778899AABBCCDDEEFF\n",
         }) {
        CAPTURE(text);
        CHECK(parse_token(text) == counting_token());
    }
}

TEST_CASE("the digits that base32 lacks are read as the letters they look like") {
    CHECK(parse_token("AAISEM2EKVTHPCEZVK54ZXP074") == counting_token());
    CHECK(parse_token("AA1SEM2EKVTHPCEZVK54ZXPO74") == counting_token());
    CHECK(parse_token("88AAAAAAAAAAAAAAAAAAAAAAAA") == parse_token("BBAAAAAAAAAAAAAAAAAAAAAAAA"));
}

TEST_CASE("a new token is read back as it was written") {
    const Token token = make_token();
    CHECK(parse_token(format_token(token)) == token);
    CHECK(make_token() != token);
}

TEST_CASE("a wrong text is wrong usage and is never repeated") {
    for (const std::string_view text : {
             "", "SECRET",
             "AAISEM2EKVTHPCEZVK54ZXPO7",   // one short
             "AAISEM2EKVTHPCEZVK54ZXPO744", // one long
             "AAISEM2EKVTHPCEZVK54ZXPO7!",
             "AAISEM2EKVTHPCEZVK54ZXPO79",         // 9 looks like nothing
             "AAISEM2EKVTHPCEZVK54ZXPO75",         // bits that no token has
             "00112233445566778899aabbccddeef",    // one short
             "00112233445566778899aabbccddeefff",  // one long
             "00112233445566778899aabbccddeegg",   // not hexadecimal
             "00112233-44556677-8899aabb-ccddeef", // 34 characters
         }) {
        CAPTURE(text);
        const Error error = thrown_by([&] { static_cast<void>(parse_token(text)); });
        CHECK(error.message() == complaint);
        CHECK(error.hint() == "copy it as the listening side printed it");
        CHECK(error.status() == ExitStatus::usage);
    }
}

TEST_CASE("each slip in one character but a look-alike is refused or another token") {
    const std::string good = "AAISEM2EKVTHPCEZVK54ZXPO74";
    for (std::size_t i = 0; i < good.size(); ++i) {
        CAPTURE(i);
        std::string slip = good;
        slip[i] = slip[i] == 'Q' ? 'R' : 'Q';
        try {
            CHECK(parse_token(slip) != counting_token());
        } catch (const Error& error) {
            CHECK_FALSE(contains(error.message() + error.hint(), slip));
        }
    }
}

TEST_CASE("a token file holds a token and blanks around it") {
    const TemporaryDirectory directory;
    write_file_atomically(directory / "token", format_token(counting_token()) + "\n", 0600);
    CHECK(read_token_file(directory / "token") == counting_token());
}

TEST_CASE("a token file that is not good is named and its content is not") {
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "token";
    write_file_atomically(path, "MY-SECRET-WITH-A-SLIP", 0600);
    const Error error = thrown_by([&] { static_cast<void>(read_token_file(path)); });
    CHECK(error.message() ==
          fmt::format("reading the token from '{}': {}", path.string(), complaint));
    CHECK(error.status() == ExitStatus::usage);
    CHECK_FALSE(contains(error.hint(), "SECRET"));
}

TEST_CASE("a token file that is missing or endless is wrong usage") {
    for (const char* path : {"/nowhere/token", "/dev/zero"}) {
        CAPTURE(path);
        const Error error = thrown_by([&] { static_cast<void>(read_token_file(path)); });
        CHECK(error.message().starts_with(fmt::format("reading the token from '{}': ", path)));
        CHECK(error.status() == ExitStatus::usage);
    }
}

TEST_CASE("a token file that others can read is refused") {
    const TemporaryDirectory directory;
    const std::filesystem::path path = directory / "token";
    const std::string text = format_token(counting_token());
    for (const mode_t mode : {0600U, 0400U, 0700U}) {
        CAPTURE(mode);
        write_file_atomically(path, text, mode);
        CHECK(read_token_file(path) == counting_token());
    }
    for (const mode_t mode : {0640U, 0604U, 0644U, 0620U}) {
        CAPTURE(mode);
        write_file_atomically(path, text, mode);
        const Error error = thrown_by([&] { static_cast<void>(read_token_file(path)); });
        CHECK(error.message() == fmt::format("others can read the token in '{}'", path.string()));
        CHECK(
            error.hint() ==
            fmt::format("chmod 600 '{}'; if they may have done so, make a new one", path.string()));
        CHECK(error.status() == ExitStatus::usage);
    }
}

} // namespace coldspare::clone
