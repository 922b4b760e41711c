// The program `slipstream`: its commands are in app/*_command.cc.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "app/commands.h"
#include "app/version.h"

int main(int argc, char** argv) {
  CLI::App program(
      "Slipstream serves language models from this machine's processor to many users at once, over OpenAI's HTTP API.",
      "slipstream");
  program.set_version_flag("--version", fmt::format("slipstream {}", slipstream::kVersion));
  int exit_status = 2;  // no command
  slipstream::add_serve_command(program, exit_status);
  slipstream::add_inspect_command(program, exit_status);
  slipstream::add_logits_command(program, exit_status);
  slipstream::add_eval_command(program, exit_status);
  slipstream::add_make_dummy_command(program, exit_status);
  slipstream::add_bench_command(program, exit_status);
  slipstream::add_check_command(program, exit_status);
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return program.exit(asked_for_help);  // prints it on standard output; 0
  } catch (const CLI::ParseError& mistake) {
    fmt::print(stderr, "slipstream: {}\n", mistake.what());
    return 2;
  }
  if (program.get_subcommands().empty()) fmt::print(stderr, "{}", program.help());
  return exit_status;
}
