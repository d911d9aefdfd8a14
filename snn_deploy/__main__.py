"""`python -m snn_deploy` is the command `snn-deploy`."""

from snn_deploy.deploy.cli import main

if __name__ == "__main__":
    main()
