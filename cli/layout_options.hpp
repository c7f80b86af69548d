#pragma once

#include "clone/target_layout.hpp"

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace coldspare::cli {

/// The options of `receive` for copies partition by partition.
class LayoutOptions {
public:
    void declare(CLI::App& app);

    /// Nothing: the whole disk. Throws Error (2) for options that do not go together.
    [[nodiscard]] std::optional<clone::PartitionOptions> options() const;

    [[nodiscard]] bool dry_run() const { return dry_run_; }

private:
    bool partitions_ = false;
    unsigned grow_ = 0;
    std::string only_;
    bool grow_fs_ = false;
    bool dry_run_ = false;
};

/// The plan as a field of the result.
[[nodiscard]] nlohmann::json to_json(const clone::Layout& layout);

} // namespace coldspare::cli
