"""Word tables for the demo directory: people, org units, groups, companies."""

from __future__ import annotations

import unicodedata

_GIVEN = """
Adrian Agnes Aisha Akira Albert Alejandro Alice Amara Amelia Amir Ana Anders Andrea Anika Anna
Antonio Anwar Arjun Astrid Aurora Ayesha Beatriz Benjamin Bianca Björn Brandon Bridget Bruno Callum
Camila Carla Carmen Cecilia Chidi Chloé Clara Connor Cristina Damian Daniela David Deepa Diana
Diego Dmitri Dominic Dorota Eduardo Elena Elif Elijah Emeka Emily Emma Erik Esther Ethan Eva
Fatima Felix Fernanda Filip Fiona Florian Francesca Frida Gabriel Georgia Giulia Grace Gustavo
Hannah Haruto Hassan Heidi Helena Henrik Hugo Ibrahim Ignacio Imani Ingrid Irene Isabel Ivan Jack
Jakub Jamal James Jana Jasmine Javier Jia Joana Johanna Jonas José Julia Kamal Karin Katarzyna
Kavya Keiko Kenji Khalid Kofi Kristina Lara Laura Leila Leo Liam Lin Lina Linnea Lorenzo Lucas
Lucía Luis Magnus Mai Malik Manuel Marco Margot Maria Mateo Matilda Maya Mehmet Mei Mia Miguel Milan
Miriam Mohammed Nadia Naomi Natalia Nikhil Nina Noah Noor Nuno Olivia Omar Oscar Paola Patrick
Paulina Petra Philip Pilar Priya Quentin Rafael Rania Raúl Rebecca Renata Riku Rita Robert Rosa
Ruben Ruth Sadia Samuel Sanjay Sara Sebastian Selin Sergio Shira Simon Sofia Stefan Svetlana
Tamara Tara Tatiana Tendai Thandiwe Theo Thomas Tobias Tomoko Ulrich Valentina Vera Victor
Vikram Viola Wanda Wei Wilhelm Xenia Ximena Yara Yasmin Yuki Yusuf Zainab Zeynep Zofia Zoran
"""

_FAMILY = """
Abara Acosta Adeyemi Aguilar Ahmed Almeida Alvarez Andersson Aoki Arslan Bakker Banerjee Barros
Bauer Becker Bennett Berg Bianchi Bishop Blanco Bosch Boyd Brandt Brooks Bryant Campbell Cardoso
Carter Castillo Chen Choi Christensen Cohen Collins Conti Cooper Costa Cruz Dahl Daniels Delgado
Demir Diaz Dietrich Dubois Duarte Dvorak Edwards Eriksson Espinoza Evans Farah Fernandez Fischer
Fleming Fontaine Forsberg Foster Fraser Fujita Gallagher Garcia Gibson Gomez Graham Greco Griffin
Grover Gupta Haddad Hamilton Hansen Hartmann Hayashi Hernandez Hoffmann Holm Horvat Huang Hughes
Hussein Ibarra Ito Ivanova Jackson Jansen Jensen Jimenez Johansson Jones Joshi Kaminski Kapoor
Kato Kaya Keller Kelly Kim Klein Kowalski Kruger Kumar Laine Lambert Larsen Laurent Lehmann Lewis
Lindqvist Lopez Lund Mahmoud Marino Marsh Martin Mbeki Medina Mendes Meyer Mitchell Mohan Moreau
Moreno Morris Müller Murphy Nakamura Navarro Ndiaye Nielsen Nguyen Novak Nowak Okafor Oliveira
Olsen Ortega Osei Owens Ozturk Palmer Park Patel Pavlov Pereira Perez Petrov Popescu Price Quinn
Ramirez Rao Reddy Reyes Richter Rivera Robinson Rojas Romano Rossi Roux Ruiz Russo Saito Salazar
Sanchez Santos Sato Schmidt Schneider Serrano Shapiro Sharma Silva Singh Smith Soto Souza Stewart
Suzuki Svensson Tanaka Taylor Thompson Torres Tran Turner Vargas Vasquez Vega Verma Vogel Wagner
Walker Wang Watanabe Weber Wilson Winter Wong Wright Yamamoto Yilmaz Young Zhang Zhou Zimmermann
"""

_TEAM = """
Accounting Analytics Apac Backend Benelux Berlin Brand Campaign Cloud Compliance Content Customer
Data Delivery Design Emea Engineering Events Facilities Finance Frontend Growth Helpdesk Hiring
Identity Infra Insights Iberia Latam Legal Logistics London Marketing Mobile Nordics Onboarding
Operations Partners Payments Payroll People Planning Platform Pricing Procurement Product Quality
Release Research Revenue Risk Sales Search Security Strategy Success Support Tokyo Treasury Web
"""

_PURPOSE = """
Alerts Announcements Approvals Budget Builders Core Crew Discuss Editors Escalations Feedback
Forum Guild Interns Leads Managers News Offsite Oncall Pilots Projects Readers Requests Reviews
Roadmap Social Standup Team Tests Updates Vendors Volunteers Watch Workshop
"""

ORG_UNITS = (
    "/",
    "/Engineering",
    "/Engineering/Platform",
    "/Engineering/Mobile",
    "/Engineering/Quality",
    "/Sales",
    "/Sales/EMEA",
    "/Sales/Americas",
    "/Marketing",
    "/Finance",
    "/Legal",
    "/People",
    "/Support",
    "/Support/Tier 2",
    "/Contractors",
    "/Research & Development",
)

PARTNER_DOMAINS = ("globex.example", "initech.example", "umbrella.example", "contoso.example")


def plain(text: str) -> str:
    """Return `text` in lower case without accents, as it is written in an e-mail address."""
    spread = unicodedata.normalize("NFKD", text)
    return "".join(ch for ch in spread if ch.isascii() and ch.isalpha()).lower()


def _table(words: str, *, after: str = "") -> tuple[tuple[str, str], ...]:
    """Return (plain, shown) pairs in order; none is the beginning of the next one."""
    pairs: list[tuple[str, str]] = []
    for key, shown in sorted((plain(word), word) for word in set(words.split())):
        if key > after and not (pairs and key.startswith(pairs[-1][0])):
            pairs.append((key, shown))
    return tuple(pairs)


# The administrator's own address comes first in every listing.
GIVEN = _table(_GIVEN, after="admin")
FAMILY = _table(_FAMILY)
TEAM = _table(_TEAM)
PURPOSE = _table(_PURPOSE)


class Combos:
    """Assigns to each of `size` places a pair of words, in alphabetical order of the address."""

    __slots__ = ("_digits", "_per", "_size", "_total", "first", "second")

    def __init__(
        self,
        first: tuple[tuple[str, str], ...],
        second: tuple[tuple[str, str], ...],
        size: int,
    ) -> None:
        """Prepare for `size` places; addresses get a number when the words do not suffice."""
        self.first = first
        self.second = second
        self._size = max(1, size)
        pairs = len(first) * len(second)
        self._per = -(-self._size // pairs)
        self._digits = len(str(self._per))
        self._total = pairs * self._per

    def at(self, place: int, noise: int) -> tuple[int, int, str]:
        """Return (index of first word, index of second word, number or '') of `place`."""
        low = place * self._total // self._size
        high = (place + 1) * self._total // self._size
        pair, copy = divmod(low + noise % (high - low), self._per)
        one, two = divmod(pair, len(self.second))
        # A digit sorts before '@': the address without a number is the last of its pair.
        number = "" if copy == self._per - 1 else f"{copy + 2:0{self._digits}d}"
        return one, two, number
