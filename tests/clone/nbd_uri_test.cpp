#include "clone/nbd_uri.hpp"

#include "base/error.hpp"
#include "clone/manifest.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <string>

namespace coldspare::clone {

TEST_CASE("an NBD URI is told from a path") {
    for (const char* uri : {"nbd://host/x", "nbds://host", "nbd+unix:///?socket=/s",
                            "nbds+unix:///x?socket=/s", "nbd+vsock://2:10809/x"}) {
        CAPTURE(uri);
        CHECK(is_nbd_uri(uri));
    }
    for (const char* path : {"/dev/nbd0", "nbd", "nbd:/x", "./nbd://host", "http://host/x", ""}) {
        CAPTURE(path);
        CHECK_FALSE(is_nbd_uri(path));
    }
}

TEST_CASE("an NBD URI says which bytes are meant") {
    struct Row {
        const char* uri;
        NbdPlace place;
    };
    const Row rows[] = {
        {"nbd://Mail.Example.NET/disk", {"tcp:mail.example.net:10809", "disk", false}},
        {"nbds://alice@mail.example.net:10/a%2Fb%20c?tls-psk-file=/k",
         {"tcp:mail.example.net:10", "a/b c", false}},
        {"nbd://mail.example.net", {"tcp:mail.example.net:10809", "", false}},
        {"nbd://[2001:DB8::1]/x", {"tcp:[2001:db8::1]:10809", "x", false}},
        {"nbd://[::1]:10/x", {"tcp:[::1]:10", "x", true}},
        {"nbd://localhost/x", {"tcp:localhost:10809", "x", true}},
        {"nbd://127.0.0.1:5/", {"tcp:127.0.0.1:5", "", true}},
        {"nbd+unix:///x?socket=/run/../run/a%3Fb", {"unix:/run/a?b", "x", true}},
        {"nbds+unix://alice@/x?tls-psk-file=/k&socket=/s", {"unix:/s", "x", true}},
        {"nbd+vsock://2/x", {"vsock:2:10809", "x", true}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.uri);
        const NbdPlace place = parse_nbd_uri(row.uri);
        CHECK(place.server == row.place.server);
        CHECK(place.exported == row.place.exported);
        CHECK(place.local == row.place.local);
    }
}

TEST_CASE("a wrong NBD URI is wrong usage") {
    const Error no_socket = thrown_by([] { static_cast<void>(parse_nbd_uri("nbd+unix:///x")); });
    CHECK(no_socket.message() == "'nbd+unix:///x' does not say where its socket is");
    CHECK(no_socket.status() == ExitStatus::usage);
    const Error no_uri = thrown_by([] { static_cast<void>(parse_nbd_uri("/dev/sda")); });
    CHECK(no_uri.message() == "'/dev/sda' is no NBD URI");
}

TEST_CASE("a password in an NBD URI is refused and not shown") {
    const Error error =
        thrown_by([] { static_cast<void>(parse_nbd_uri("nbds://alice:secret@host/x")); });
    CHECK(error.message() == "the NBD URI of 'host' has a password");
    CHECK(error.status() == ExitStatus::usage);
    CHECK_FALSE(contains(error.hint(), "secret"));
}

TEST_CASE("the files of an export are named by its place, whatever the way there") {
    const auto name = [](const char* uri) { return manifest_path(uri, "/state").string(); };
    CHECK(name("nbd://host/x").starts_with("/state/manifests/nbd-tcp_host_10809-x-"));
    CHECK(name("nbd://host/x").ends_with(".manifest"));
    CHECK(name("nbd://host/x") == name("nbds://alice@HOST:10809/x?tls-psk-file=/k"));
    CHECK(name("nbd://host/a_b") != name("nbd://host/a/b"));
    CHECK(name("nbd://host/x") != name("nbd+unix:///x?socket=/host"));
    CHECK(name(("nbd://host/" + std::string(5000, 'x')).c_str()).size() < 255);
}

} // namespace coldspare::clone
