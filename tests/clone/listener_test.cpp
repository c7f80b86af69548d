#include "base/error.hpp"
#include "clone/channel.hpp"
#include "tests/support/loopback.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

namespace coldspare::clone {

TEST_CASE("a port that is taken is told") {
    const Listener listener = loopback_listener();
    const Error error = thrown_by([&] { const Listener second(listener.address()); });
    CHECK(error.message() == fmt::format("cannot listen on 127.0.0.1:{}: Address already in use",
                                         listener.address().port));
}

TEST_CASE("a listener on every address tells the port that it was given") {
    const Listener listener(Address{"", "0"});
    CHECK(listener.address().port != "0");
    CHECK_NOTHROW(static_cast<void>(Channel::connect({"127.0.0.1", listener.address().port}, {})));
}

} // namespace coldspare::clone
