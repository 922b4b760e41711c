// The program's commands. Each file NAME_command.cc has one function that adds its subcommand, options checked in words
// by CLI11, to the program; when the subcommand was chosen its callback runs it and stores the exit status:
// 0 done, 1 the world is at fault (one line on standard error said how), 2 the command line is.
#pragma once

namespace CLI {
class App;
}

namespace slipstream {

void add_serve_command(CLI::App& program, int& exit_status);       // slipstream serve MODEL
void add_inspect_command(CLI::App& program, int& exit_status);     // slipstream inspect MODEL [--json]
void add_logits_command(CLI::App& program, int& exit_status);      // slipstream logits MODEL --tokens IN --out OUT
void add_eval_command(CLI::App& program, int& exit_status);        // slipstream eval perplexity MODEL FILE
void add_make_dummy_command(CLI::App& program, int& exit_status);  // slipstream make-dummy SHAPE DIR
void add_bench_command(CLI::App& program, int& exit_status);       // slipstream bench sharing [MODEL]
void add_check_command(CLI::App& program, int& exit_status);       // slipstream check prefix-cache [MODEL]

}  // namespace slipstream
