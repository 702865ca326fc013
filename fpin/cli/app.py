"""The commands and their groups. Each is imported when it is asked for; heavy rooms when it runs."""

from __future__ import annotations

import click

from fpin._version import __version__
from fpin.cli.command import Group

app = Group(
    "fpin",
    help="Put files on Filecoin so that all of IPFS can fetch them.",
    commands={
        "add": "fpin.cli.add:add",
        "import": "fpin.cli.imports:import_car",
        "status": "fpin.cli.pins:status",
        "ls": "fpin.cli.pins:ls",
        "get": "fpin.cli.pins:get",
        "verify": "fpin.cli.verify:verify",
        "check": "fpin.cli.pins:check",
        "rm": "fpin.cli.pins:rm",
        "repair": "fpin.cli.repair:repair",
        "cost": "fpin.cli.add:cost",
        "cid": "fpin.cli.offline:cid",
        "pack": "fpin.cli.offline:pack",
        "car": Group(
            "car",
            help="Look into CAR files.",
            commands={
                "ls": "fpin.cli.offline:car_ls",
                "verify": "fpin.cli.offline:car_verify",
                "extract": "fpin.cli.offline:car_extract",
            },
        ),
        "payments": Group(
            "payments",
            help="The account that pays: look at it, fill it, take back what is free.",
            commands={
                "status": "fpin.cli.payments:payments_status",
                "setup": "fpin.cli.payments:payments_setup",
                "deposit": "fpin.cli.payments:payments_deposit",
                "withdraw": "fpin.cli.payments:payments_withdraw",
                "fund": "fpin.cli.payments:payments_fund",
            },
        ),
        "provider": Group(
            "provider",
            help="The storage providers of a network.",
            commands={
                "ls": "fpin.cli.providers:provider_ls",
                "show": "fpin.cli.providers:provider_show",
                "ping": "fpin.cli.providers:provider_ping",
            },
        ),
        "data-set": Group(
            "data-set",
            help="The data sets that your account pays for.",
            commands={
                "ls": "fpin.cli.data_sets:data_set_ls",
                "show": "fpin.cli.data_sets:data_set_show",
                "terminate": "fpin.cli.data_sets:data_set_terminate",
            },
        ),
        "key": Group(
            "key",
            help="The wallet's key in the keyring of this machine.",
            commands={
                "set": "fpin.cli.keys:key_set",
                "show": "fpin.cli.keys:key_show",
                "rm": "fpin.cli.keys:key_rm",
            },
        ),
        "session": Group(
            "session",
            help="Keys that add and remove for a wallet, and move no money.",
            commands={
                "create": "fpin.cli.sessions:session_create",
                "ls": "fpin.cli.sessions:session_ls",
                "revoke": "fpin.cli.sessions:session_revoke",
            },
        ),
        "devnet": Group(
            "devnet",
            help="A Filecoin network of your own, on this machine.",
            commands={
                "up": "fpin.cli.devnet:devnet_up",
                "info": "fpin.cli.devnet:devnet_info",
                "mine": "fpin.cli.devnet:devnet_mine",
                "reset": "fpin.cli.devnet:devnet_reset",
            },
        ),
        "config": Group(
            "config",
            help="The settings: what is set, and where.",
            commands={"show": "fpin.cli.configuration:config_show"},
        ),
        "doctor": "fpin.cli.doctor:doctor",
        "completion": "fpin.cli.shells:completion",
    },
)
app.context_settings = {"help_option_names": ["-h", "--help"]}
app.epilog = "Every option can be set in the environment too: --max-cost as FPIN_MAX_COST; or in config.toml."
click.version_option(__version__, message="%(prog)s %(version)s", help="Show the version and exit.")(app)
