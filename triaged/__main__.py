"""`python -m triaged` is `triaged`."""

from triaged.main import main

if __name__ == "__main__":
    main()
