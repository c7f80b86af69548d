#pragma once

#include "cli/output.hpp"
#include "cli/program.hpp"
#include "clone/pairing.hpp"
#include "clone/peers.hpp"
#include "clone/progress.hpp"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace coldspare::cli {

/// The options that `send` and `receive` share: how to reach the other side, and how the
/// connection is protected.
class LinkOptions {
public:
    void declare(CLI::App& app);

    /// Listens or makes ready to connect; prints the token and the other side's command line where
    /// a token was made. `counterpart` is the other side's command, for that line. Throws Error
    /// (2).
    [[nodiscard]] std::unique_ptr<clone::Peers> open(Output& output, std::string_view counterpart);

    [[nodiscard]] unsigned streams() const { return streams_; }
    [[nodiscard]] const std::string& state_dir() const { return state_dir_; }

    /// Runs sessions until one ends without an Error: another one after each lost connection, until
    /// none has made anything durable for the time of `--retry-for`. Throws Error.
    void run_sessions(Output& output, const clone::ProgressSink& progress,
                      const std::function<void(const clone::ProgressSink&)>& session) const;

private:
    [[nodiscard]] clone::Security security(Output& output, clone::AddressUse use);
    [[nodiscard]] std::optional<clone::Token> token_given() const;
    [[nodiscard]] clone::Token make_token(Output& output);
    [[nodiscard]] std::unique_ptr<clone::Peers> remembering(std::unique_ptr<clone::Peers> peers,
                                                            Output& output) const;

    std::string listen_;
    std::string connect_;
    std::string token_file_;
    std::string token_text_; ///< made here
    std::string pair_;
    std::string state_dir_ = default_state_dir;
    clone::Identity identity_;      ///< with --pair
    std::optional<clone::Pin> pin_; ///< of the pair, where this session is protected by it
    bool insecure_ = false;
    unsigned streams_ = 0;
    unsigned retry_for_ = 600;
};

/// The fields of the final event that `send` and `receive` share (DESIGN: send / receive).
[[nodiscard]] nlohmann::json to_json(const clone::CopyReport& report);

/// The fields of several disks as one object: "disks", and the sums of what can be added.
[[nodiscard]] nlohmann::json join_disks(std::vector<nlohmann::json> disks);

/// Done, or incomplete if something could not be read.
[[nodiscard]] ExitStatus status_of(const clone::CopyReport& report);

/// The final lines, the last two in the manner of dd(1).
void print_report(Output& output, const clone::CopyReport& report);

/// Draws clone progress.
[[nodiscard]] clone::ProgressSink progress_sink(Output& output, std::string_view activity);

} // namespace coldspare::cli
