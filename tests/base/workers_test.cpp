#include "base/workers.hpp"

#include "base/error.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

namespace coldspare {

namespace {

void wait_for_stop(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        std::this_thread::yield();
    }
}

} // namespace

TEST_CASE("all workers run at the same time") {
    std::atomic<int> here{0};
    const Worker meet = [&](std::stop_token) {
        ++here;
        while (here < 3) {
            std::this_thread::yield();
        }
    };
    run_workers({}, {meet, meet, meet});
    CHECK(here == 3);
}

TEST_CASE("no workers is no failure") {
    CHECK_NOTHROW(run_workers({}, {}));
}

TEST_CASE("the first failure stops the other workers and is the one that is told") {
    std::atomic<int> stopped{0};
    const Worker other = [&](std::stop_token stop) {
        wait_for_stop(stop);
        ++stopped;
        throw Error("a failure that came of being stopped");
    };
    CHECK_THROWS_WITH_AS(
        run_workers({}, {other, [](std::stop_token) { throw Error("the disk is gone"); }, other}),
        "the disk is gone", Error);
    CHECK(stopped == 2);
}

TEST_CASE("an exception that is no Error comes out as it was") {
    CHECK_THROWS_AS(run_workers({}, {[](std::stop_token) { throw std::bad_alloc(); }}),
                    std::bad_alloc);
}

TEST_CASE("a stop reaches every worker and is an interruption") {
    std::stop_source source;
    std::atomic<int> reached{0};
    const Worker quiet = [&](std::stop_token stop) {
        wait_for_stop(stop);
        ++reached;
    };
    const Error error = thrown_by([&] {
        run_workers(source.get_token(),
                    {quiet, quiet, [&](std::stop_token) { source.request_stop(); }});
    });
    CHECK(error.status() == ExitStatus::interrupted);
    CHECK(reached == 2);
}

TEST_CASE("what workers throw because of a stop does not hide that it was one") {
    std::stop_source source;
    const Error error = thrown_by([&] {
        run_workers(source.get_token(), {[](std::stop_token stop) {
                                             wait_for_stop(stop);
                                             throw Error("the connection broke");
                                         },
                                         [&](std::stop_token) { source.request_stop(); }});
    });
    CHECK(error.status() == ExitStatus::interrupted);
}

TEST_CASE("a failure before the stop is not hidden by it") {
    std::stop_source source;
    CHECK_THROWS_WITH_AS(
        run_workers(source.get_token(), {[](std::stop_token) { throw Error("the disk is gone"); },
                                         [&](std::stop_token stop) {
                                             wait_for_stop(stop); // asked for by the failure
                                             source.request_stop();
                                         }}),
        "the disk is gone", Error);
}

TEST_CASE("a stop that was asked for before is seen by the workers") {
    std::stop_source source;
    source.request_stop();
    bool seen = false;
    CHECK_THROWS_AS(run_workers(source.get_token(),
                                {[&](std::stop_token stop) { seen = stop.stop_requested(); }}),
                    Error);
    CHECK(seen);
}

} // namespace coldspare
