#include "base/workers.hpp"

#include "base/error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace coldspare {

void run_workers(std::stop_token stop, std::vector<Worker> workers) {
    std::stop_source inner;
    const std::stop_callback forward(stop, [&inner] { inner.request_stop(); });
    std::mutex mutex;
    std::exception_ptr first;
    {
        std::vector<std::jthread> threads;
        threads.reserve(workers.size());
        // If a thread cannot be made, those that run are stopped before they are waited for.
        const auto start = [&](Worker& worker) {
            threads.emplace_back([&worker, &inner, &mutex, &first] {
                try {
                    worker(inner.get_token());
                } catch (...) {
                    const std::scoped_lock lock(mutex);
                    // After a stop of either kind what follows is a consequence.
                    if (!first && !inner.stop_requested()) {
                        first = std::current_exception();
                    }
                    inner.request_stop();
                }
            });
        };
        try {
            std::ranges::for_each(workers, start);
        } catch (const std::exception& error) {
            inner.request_stop();
            throw Error(fmt::format("cannot start a thread: {}", error.what()));
        }
    }
    if (first) {
        std::rethrow_exception(std::exchange(first, nullptr));
    }
    if (stop.stop_requested()) {
        throw interrupted();
    }
}

} // namespace coldspare
