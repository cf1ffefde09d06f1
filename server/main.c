/* main.c: the program. What it does is in cli/, one file a subcommand; serving is cli/serve.c. */
#include "cli/cli.h"

int main(int argc, char **argv) {
    return cli_run(argc, argv);
}
