// Any bytes as the payload of each message: it is understood or refused with an Error, and what was
// understood keeps its limits.
#include "base/error.hpp"
#include "clone/messages.hpp"
#include "clone/parts.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

using namespace coldspare;
using namespace coldspare::clone;

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

template <typename Parse, typename Check>
void take(std::string_view payload, Parse parse, Check check) {
    try {
        check(parse(payload));
    } catch (const Error& error) {
        require(!error.message().empty());
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view payload(reinterpret_cast<const char*>(data), size);
    take(payload, parse_hello, [](const Hello& hello) {
        require(hello.stream < most_streams);
        const Agreement agreement = agree(Hello{.role = Role::target, .streams = 4}, hello);
        require(agreement.streams >= 1 && agreement.streams <= 4);
    });
    take(payload, parse_disk, [](const DiskMessage& disk) {
        require(disk.facts.size >= 1 && disk.facts.size <= largest_disk_size);
        require(is_block_size(disk.block_size));
        static_cast<void>(parse_disk(encode(disk)));
    });
    take(payload, parse_plan, [](const PlanMessage& plan) {
        require(plan.streams >= 1 && plan.streams <= most_streams);
        require(plan.session.size() == 32);
        static_cast<void>(parse_plan(encode(plan)));
    });
    take(payload, parse_progress, [](const ProgressMessage& progress) {
        require(parse_progress(encode(progress)).bytes_done == progress.bytes_done);
    });
    take(payload, parse_root, [](const RootMessage& root) { require(root.root.size() == 64); });
    take(payload, parse_durable,
         [payload](const DurableMessage& durable) { require(encode(durable) == payload); });
    take(payload, parse_credit,
         [payload](const CreditMessage& credit) { require(encode(credit) == payload); });
    for (const std::uint32_t length : {16384U, 5000U, largest_block_size}) {
        if (size < parts_head_size(length)) {
            continue;
        }
        const auto bytes = std::as_bytes(std::span(data, size)).first(parts_head_size(length));
        take(
            payload, [&](std::string_view) { return parse_parts_head(bytes, length); },
            [&](const PartsHead& head) {
                require(head.changed.size() == parts_in(length));
                require(head.content_length(length) >= 1 && head.content_length(length) <= length);
                std::vector<std::byte> back(bytes.size());
                encode_parts_head(head, back);
                require(std::ranges::equal(back, bytes));
            });
    }
    const Error reason = parse_error(payload, "source");
    require(reason.message().size() < 5000);
    for (const char c : reason.message()) {
        require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }
    return 0;
}
