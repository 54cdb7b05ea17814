"""`python -m kameng.cli`: the same as the `kameng` script."""

from kameng.cli import main

if __name__ == "__main__":
    main(prog_name="kameng")
